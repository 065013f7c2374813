"""An agent's SQLite databases: checked, counted, shrunk where that pays, and watched as they grow (seed 002)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from backups.archive.errors import ArchiveError
from backups.archive.terminal import human_size
from backups.databases import (
    DatabasesPayload,
    DataFolder,
    data_folder,
    databases_of,
    good_backups,
    no_databases,
    no_databases_any_more,
    pages_known,
)
from backups.maintaining import Look, line_of, look_at, shrink, way_out
from backups.models import Backup
from backups.scratch import scratch_folder
from backups.services.databasealerts import (
    database_damaged,
    database_grows,
    database_grows_not,
    database_sound,
)
from backups.services.trends import EXECUTOR, Growth, Size, growth, sizes_by_database
from schedules.engine.clock import database_now
from schedules.executors.base import AgentView, Executor, ExecutorError, Result, RunContext, Stopped

#: Bytes that any database may grow in a week, whatever factor that is: a small one doubles easily and harms nobody.
_ALWAYS_ALLOWED = 1024**2


class DatabaseMaintainPayload(DatabasesPayload):
    """``vacuum``: ``auto`` when at least ``least_gain`` of a database's pages are free and it can be had, ``always``,
    or ``never``; a damaged one is never touched. ``vacuum_seconds``: for how long it may keep the agent from writing.

    ``alert_factor``: raise an alert when a database is more than so many times as large as a week ago.
    """

    vacuum: Literal["auto", "always", "never"] = "auto"
    least_gain: float = Field(default=0.1, ge=0, le=1)
    vacuum_seconds: float = Field(default=60.0, gt=0, le=3600)
    alert_factor: float | None = Field(default=None, gt=1, le=1_000_000)


class DatabaseMaintain(Executor[DatabaseMaintainPayload]):
    """Checks a copy of each of an agent's SQLite databases, counts what it holds, and vacuums what is sound."""

    key: ClassVar[str] = EXECUTOR
    title: ClassVar[str] = "Check and vacuum of an agent's SQLite databases"
    queue: ClassVar[str] = "backups"
    default_retries: ClassVar[int] = 3
    needs_agent: ClassVar[bool] = True
    # It holds its agent beside other runs ("shared"): SQLite's own locks keep VACUUM and every other user of the file
    # apart, the agent itself being the one that no hold of ours keeps out; whoever copies meanwhile gets the state
    # before it or after it, or waits. Alone ("exclusive") it would only bar the agent's other work for as long as
    # checking takes. A restore, which replaces the file below it, is exclusive, and that keeps this one out.
    #
    # No outside handle: SQLite runs in a child that ends, rolling back, as soon as nobody listens to it.
    payload_model = DatabaseMaintainPayload

    def check_payload(self, payload: DatabaseMaintainPayload, *, agent: AgentView | None) -> None:
        try:
            data_folder(payload, agent)
        except ArchiveError as error:
            raise ValueError(str(error)) from error

    def execute(self, payload: DatabaseMaintainPayload, context: RunContext) -> Result:
        try:
            data = data_folder(payload, context.agent)
            return _Maintenance(data, payload, context).run()
        except ArchiveError as error:
            raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
        except ValueError as error:
            raise ExecutorError("invalid_payload", str(error), retryable=False) from error


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is remembered of a folder's databases."""

    good: Sequence[Backup]
    sizes: Mapping[str, Sequence[Size]]

    def pages(self) -> dict[str, int]:
        return pages_known(self.good) | {path: sizes[0].pages for path, sizes in self.sizes.items()}

    def newest(self) -> set[str]:
        """The databases of the former maintenance."""
        newest = max((sizes[0].at for sizes in self.sizes.values()), default=None)
        return {path for path, sizes in self.sizes.items() if sizes[0].at == newest}

    def last_good(self, path: str) -> Backup | None:
        """The newest good archive that holds this database with content."""
        return next((each for each in self.good if pages_known([each]).get(path)), None)


class _Maintenance:
    """One run."""

    def __init__(self, data: DataFolder, payload: DatabaseMaintainPayload, context: RunContext) -> None:
        self._data, self._payload, self._context = data, payload, context
        self._known, self._now = _known(data, context), database_now()

    def run(self) -> Result:
        """Every database gets its turn before what is wrong with one of them fails the run."""
        with self._data.opened() as root, scratch_folder() as scratch:
            found = databases_of(self._data, root, check=self._context.check)
            for note in found.notes:
                self._context.log(f"Note: {note}\n")
            lost = no_databases_any_more(self._data, root, found.databases, self._known.pages())
            looks = [self._care(root, each.path, scratch) for each in found.databases if each.path not in lost]
        looks += [self._tell(Look(path=path, problems=(problem,))) for path, problem in sorted(lost.items())]
        if not looks:
            raise no_databases(self._data, found)
        self._tell_gone({look.path for look in looks})
        return self._result(looks)

    def _care(self, root: int, path: str, scratch: Path) -> Look:
        return self._tell(self._shrunk(root, look_at(root, path, scratch, check=self._context.check)))

    def _shrunk(self, root: int, look: Look) -> Look:
        if not _pays(look, self._payload):
            return look
        self._context.check()
        if not self._context.is_current():
            raise Stopped("another attempt has taken over this run")
        return shrink(root, look, most_seconds=self._payload.vacuum_seconds, check=self._context.check)

    def _tell(self, look: Look) -> Look:
        """In the log, and by alerts."""
        grown = self._growth(look)
        self._context.log(f"{line_of(look, grown)}\n")
        about = self._about(look.path)
        if look.problems:
            database_damaged(**about, problem=self._damage(look))
        elif look.failed is None:
            database_sound(**about)
            self._judge(grown, about)
        return look

    def _judge(self, grown: Growth | None, about: dict[str, Any]) -> None:
        if too_much := _too_much(grown, self._payload.alert_factor):
            database_grows(**about, told=f"{too_much.sentence(about['path'])}, {_ADVICE}")
        else:
            database_grows_not(**about)

    def _tell_gone(self, there: set[str]) -> None:
        """A database that is gone is not damaged any more; whether that was meant, its people know."""
        for path in self._known.newest() - there if not self._data.chosen else ():
            self._context.log(f"Note: {path} is gone; the former maintenance had found it\n")
            database_sound(**self._about(path))
            database_grows_not(**self._about(path))

    def _about(self, path: str) -> dict[str, Any]:
        return {
            "organisation_id": self._context.organisation_id,
            "agent": self._data.agent.slug,
            "path": self._data.named(path),
        }

    def _growth(self, look: Look) -> Growth | None:
        if look.failed is not None or look.problems:
            return None
        return growth(self._known.sizes.get(look.path, ()), size=look.size, now=self._now)

    def _damage(self, look: Look) -> str:
        told = "; ".join(look.problems[:2])
        path = self._data.folder / look.path
        return (
            f"The database {look.path} of the agent '{self._data.agent.slug}' is damaged ({told}). "
            f"{way_out(path, self._known.last_good(look.path))}"
        )

    def _result(self, looks: Sequence[Look]) -> Result:
        damaged = [look for look in looks if look.problems]
        if damaged:
            raise ExecutorError("source_damaged", " ".join(map(self._damage, damaged)), retryable=False)
        if errors := _errors(looks, self._payload):
            raise ExecutorError(
                next(iter(errors.values())).code,
                " ".join(f"{path}: {error}" for path, error in errors.items()),
                retryable=any(error.retryable for error in errors.values()),
            )
        return Result(summary=_summary(looks), details=self._details(looks))

    def _details(self, looks: Sequence[Look]) -> dict[str, Any]:
        told = [look.details() | {"bytes_per_day": _per_day(self._growth(look))} for look in looks]
        return {"folder": str(self._data.folder), "databases": told}


_ADVICE = (
    "which is more than its schedule allows (alert_factor). The run's result has its tables and keys by size: see "
    "what the agent keeps, and whether the disk and the backups have room for it."
)


def _known(data: DataFolder, context: RunContext) -> _Known:
    return _Known(
        good=good_backups(organisation_id=context.organisation_id, agent=data.agent.slug, folder=data.folder),
        sizes=sizes_by_database(agent_id=data.agent.id, folder=str(data.folder)),
    )


def _pays(look: Look, payload: DatabaseMaintainPayload) -> bool:
    if look.failed is not None or look.problems or not look.pages or payload.vacuum == "never":
        return False
    return payload.vacuum == "always" or (look.free_pages > 0 and look.free_pages >= payload.least_gain * look.pages)


def _errors(looks: Sequence[Look], payload: DatabaseMaintainPayload) -> dict[str, ArchiveError]:
    """What fails the run: a database that nobody could look at, and a VACUUM that was asked for in so many words."""
    errors = {look.path: look.failed for look in looks if look.failed is not None}
    if payload.vacuum == "always":
        errors |= {look.path: look.unshrunk for look in looks if look.unshrunk is not None}
    return errors


def _too_much(grown: Growth | None, factor: float | None) -> Growth | None:
    if grown is None or factor is None or not grown.is_of_a_week:
        return None
    is_much = grown.after > factor * grown.before and grown.after - grown.before > _ALWAYS_ALLOWED
    return grown if is_much else None


def _per_day(grown: Growth | None) -> int | None:
    per_day = grown.bytes_per_day if grown is not None else None
    return None if per_day is None else round(per_day)


def _summary(looks: Sequence[Look]) -> str:
    """``3 databases are sound, 1 vacuumed: 8.0 MiB → 5.1 MiB in all.``"""
    size_before, size = sum(look.size_before for look in looks), sum(look.size for look in looks)
    vacuumed = sum(look.vacuumed is not None for look in looks)
    count = "1 database is sound" if len(looks) == 1 else f"{len(looks)} databases are sound"
    if not vacuumed:
        return f"{count}: {human_size(size)} in all"
    return f"{count}, {vacuumed} vacuumed: {human_size(size_before)} → {human_size(size)} in all"
