"""What every restore does: verify beside, stop the agent, exchange, start it, look, and go back if it is not well."""

from __future__ import annotations

import contextlib
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from backups.archive.errors import (
    ArchiveDamagedError,
    ArchiveError,
    ArchiveMissingError,
)
from backups.archive.extract import Parts, Wanted
from backups.archive.naming import stamp_text
from backups.archive.recovery import Settled, recover
from backups.archive.restore import Order, Restoration
from backups.archive.rules import Limits, trusting
from backups.archive.stores import Hooks
from backups.archive.terminal import human_size
from backups.archive.undoing import Placed
from backups.checks import content_problems
from backups.encryption import decrypted_for
from backups.health import HealthError, wait_until_healthy
from backups.models import Backup, Restore
from backups.places import Place, own_paths
from backups.progress import telling
from backups.restorepayload import (
    RestorePayload,
    backup_chosen,
    check,
    modes_of,
    owner_of,
    path_parts,
    target_beneath,
)
from backups.services.restores import former_trees, restore_record
from backups.services.states import backup_damaged
from backups.services.verification import top_of
from backups.stopping import Stopping, in_use, start_again, stopped
from fleet.actors import Actor
from fleet.clients.docker_errors import DockerError
from schedules.engine.clock import database_now
from schedules.executors.base import AgentView, Executor, ExecutorError, Hold, Result, RunContext, Stopped


@dataclass(frozen=True, kw_only=True)
class Work:
    """One restore, with everything looked up. ``beneath``: the folder of the operator's that the target lies in."""

    backup: Backup
    agent: AgentView
    target: Path
    payload: RestorePayload
    beneath: Path | None = None
    renamed: Callable[[Parts], Parts] = field(default=lambda path: path)

    @cached_property
    def is_in_place(self) -> bool:
        """Whether the agent may have open what is exchanged; by what was there before, so it is asked once."""
        return self.payload.to is None or in_use(self.target, self.agent)


def restore(work: Work, context: RunContext) -> Result:
    """Raises :class:`ExecutorError`; then the former tree stands, and what was stopped runs again."""
    rows = Restore.objects.filter(job_run_id=context.job_run_id).exclude(state=Restore.State.FAILED)
    if row := rows.first():
        return _report(work, row, context)  # by a former attempt of this run, whatever became of it since
    record = _Recorder(work, context)
    try:
        row = _carry_out(work, context, record)
    except (ArchiveError, DockerError, HealthError) as error:
        # A refusal that comes of the target, or of what was asked for, says nothing against the archive.
        if isinstance(error, ArchiveDamagedError | ArchiveMissingError):
            backup_damaged(backup=work.backup, problem=str(error))
        record(state=Restore.State.FAILED, problem=str(error))
        context.log(f"Restore failed: {error}\nThe former tree stands.\n")
        raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
    return _report(work, row, context)


class _Recorder:
    """Writes down what became of a restore; it began when this was made."""

    def __init__(self, work: Work, context: RunContext) -> None:
        self._work, self._context = work, context
        self._began, self._started = database_now(), time.monotonic()

    def __call__(self, **values: Any) -> Restore:
        work, context = self._work, self._context
        return restore_record(
            organisation_id=context.organisation_id,
            agent_id=work.agent.id,
            agent_slug=work.agent.slug,
            backup=work.backup,
            archive=work.backup.name,
            job_run_id=context.job_run_id,
            target=str(work.target),
            beneath=str(work.beneath or ""),
            began_at=self._began,
            seconds=time.monotonic() - self._started,
            actor=Actor.system("worker"),
            **values,
        )


def _report(work: Work, row: Restore, context: RunContext) -> Result:
    told = f"[Restore] Restored {work.backup.name} to {work.target} in {row.seconds:.1f} s"
    context.log(f"{told}: {row.entries} entries, {human_size(row.tree_bytes)}\n", stream="stdout")
    before = f"What was there before is kept in {row.kept}." if row.kept else "Nothing was there before."
    context.log(
        f"{before} When all is well: manage.py backup confirm {row.pk}; to go back: manage.py backup undo {row.pk}\n",
        stream="stdout",
    )
    return Result(
        summary=told,
        details={
            "restore": row.pk,
            "backup": work.backup.pk,
            "name": work.backup.name,
            "target": row.target,
            "kept": row.kept,
            "entries": row.entries,
            "bytes": row.tree_bytes,
            "seconds": round(row.seconds, 2),
        },
    )


def order_of(work: Work) -> Order:
    """What of the archive goes where."""
    backup, payload = work.backup, work.payload
    kept = _kept_in_place(work)
    wanted = Wanted(
        paths=tuple(map(path_parts, payload.paths)),
        whole=top_of(backup.kind) != "",
        left=tuple(tuple(path.split("/")) for path in kept if os.path.lexists(work.target / path)),
        renamed=work.renamed,
        owner=owner_of(payload.chown),
        modes=modes_of(payload.folder_mode, payload.file_mode),
    )
    return Order(
        target=work.target,
        top=top_of(backup.kind),
        force=True,
        wanted=wanted,
        limits=Limits() if backup.is_adopted else trusting(),
        size=backup.tree_bytes or 0,
        sha256=backup.sha256,
        decrypted=decrypted_for(backup.name, backup.key_id),
        keep=kept,
        beneath=work.beneath,
    )


def _kept_in_place(work: Work) -> tuple[str, ...]:
    """What lies in the target and in no archive of it: our own folders, former trees that other restores keep, and what
    the backup was told to leave out."""
    here = work.target.resolve()
    ours = [*own_paths(), *former_trees(work.agent.id)]
    own = [str(path.relative_to(here)) for path in ours if path != here and path.is_relative_to(here)]
    named = [str(path) for path in work.backup.details.get("leave_out", [])]
    plain = [path for path in named if path and not {"", ".", ".."} & set(path.split("/"))]
    return tuple(dict.fromkeys([*own, *plain]))


def _carry_out(work: Work, context: RunContext, record: Callable[..., Restore]) -> Restore:
    backup, order = work.backup, replace(order_of(work), owner=context.job_run_id)
    with (
        contextlib.closing(Place.of(backup).store(context.check)) as store,
        Restoration(store, backup.name, order, hooks_of(context, total=order.size)) as restoration,
    ):
        context.record_handle(_handle(work, restoration))
        context.log(f"Restoring {backup.name} from {store.place} to {work.target}\n")
        found, _ = restoration.stage()
        if problems := content_problems(backup.kind, restoration.staged, on_wait=context.check):
            backup_damaged(backup=backup, problem=problems[0])
            raise _bad_content(backup, problems)
        context.log(f"Verified beside: {found.entries} entries, {human_size(found.size)}\n")
        placed = _exchange(restoration, work, context)
        restoration.finish()
        try:
            return record(state=Restore.State.DONE, **_told(placed), **_written(order))
        except BaseException:
            # It stays. Without a record the next attempt would take its tree for the former one.
            restoration.leave_journal()
            raise


def _told(placed: Placed) -> dict[str, Any]:
    return {
        "kept": str(placed.kept or ""),
        "brought": list(placed.brought),
        "retired": list(placed.retired),
        "carried": list(placed.carried),
    }


def _written(order: Order) -> dict[str, int]:
    entries, size = order.wanted.written
    return {"entries": entries, "tree_bytes": size}


def _exchange(restoration: Restoration, work: Work, context: RunContext) -> Placed:
    """With the agent's container stopped, if there is one; and back again, if the agent is not well afterwards."""
    with stopped(_stopping(work, restoration, context), context) as start:
        context.check()
        if not context.is_current():
            raise Stopped("another attempt has taken over this run")
        placed = restoration.place()
        try:
            if start() and work.payload.health == "check" and work.is_in_place:
                wait_until_healthy(work.agent, seconds=work.payload.health_seconds, check=context.check)
        except BaseException as error:
            context.log(f"The agent is not well with what was restored ({error}): the former tree comes back.\n")
            with stopped(_stopping(work, restoration, context), context):
                restoration.undo()
            raise
    return placed


def _stopping(work: Work, restoration: Restoration, context: RunContext) -> Stopping:
    return Stopping(
        agent=work.agent,
        is_in_place=work.is_in_place,
        stop=work.payload.stop_container,
        seconds=work.payload.stop_seconds,
        before_stop=lambda name: context.record_handle(_handle(work, restoration, name)),
    )


def _handle(work: Work, restoration: Restoration, container: str = "") -> Mapping[str, Any]:
    return {
        "restore": str(work.target),
        "beneath": str(work.beneath or ""),
        "staging": restoration.staging,
        "container": container,
        "backup": work.backup.pk,
    }


def _record_found(settled: Settled, handle: Mapping[str, Any], context: RunContext) -> None:
    """A restore that was in place when its worker died is one: another one would take its tree for the former one."""
    context.log(f"{settled.said}\n")
    if not settled.stays or settled.staging != handle["staging"]:
        return
    if Restore.objects.filter(job_run_id=context.job_run_id).exclude(state=Restore.State.FAILED).exists():
        return
    agent, backup = context.agent, Backup.objects.filter(pk=handle["backup"]).first()
    restore_record(
        organisation_id=context.organisation_id,
        agent_id=agent.id if agent else 0,
        agent_slug=agent.slug if agent else "",
        backup=backup,
        archive=backup.name if backup else settled.journal.archive,
        job_run_id=context.job_run_id,
        target=handle["restore"],
        beneath=handle["beneath"],
        kept=settled.journal.kept,
        state=Restore.State.DONE,
        began_at=database_now(),
        actor=Actor.system("worker"),
        **settled.journal.placed,
    )


def reap(handle: Mapping[str, Any], context: RunContext) -> None:
    """Finish or undo what a former attempt left, and start the container that it had stopped."""
    try:
        beneath = Path(handle["beneath"]) if handle["beneath"] else None
        recover(
            Path(handle["restore"]),
            beneath=beneath,
            owner=context.job_run_id,
            own_only=True,
            staging=handle["staging"],
            record=lambda settled: _record_found(settled, handle, context),
        )
        if handle["container"]:
            start_again(handle["container"])
    except (ArchiveError, DockerError) as error:
        raise ExecutorError(error.code, f"A restore that was cut off is not settled yet: {error}") from error


def hooks_of(context: RunContext, *, total: int = 0) -> Hooks:
    """For reading an archive in a run; ``total``: bytes of what is in it, 0 where nobody knows."""
    told = telling(context, lambda read, _: f"{human_size(read)} unpacked", total=total)
    return Hooks(on_chunk=told, on_wait=context.check)


def _bad_content(backup: Backup, problems: Sequence[str]) -> ArchiveError:
    return ArchiveDamagedError(
        f"{backup.name} was read whole, but {problems[0]} Nothing was restored: take another one."
    )


def unstamped(backup: Backup) -> Callable[[Parts], Parts]:
    """The paths of a database archive as they were: without the stamp that seed 002 gives them (``agentx-….db``).

    Archives of the seed's own script hold the whole path of the folder that they were made in; what counts is the file.
    """
    stamp = f"-{stamp_text(backup.name)}"

    def renamed(path: Parts) -> Parts:
        head, found, tail = (path[-1] if path else "").rpartition(stamp)
        if not found or tail[:1] not in {"", "."}:
            return path if backup.has_manifest else ()
        return (*(path[:-1] if backup.has_manifest else ()), head + tail)

    return renamed


class RestoreExecutor(Executor[RestorePayload]):
    """What restores of every kind share. Each names the ``kind`` of its backups."""

    queue: ClassVar[str] = "backups"
    needs_agent: ClassVar[bool] = True
    hold: ClassVar[Hold] = "exclusive"
    payload_model = RestorePayload
    kind: ClassVar[str]

    @abstractmethod
    def renamed(self, backup: Backup) -> Callable[[Parts], Parts]:
        """The path under which an entry of the archive is restored."""

    def refuse(self, backup: Backup, payload: RestorePayload) -> None:
        """Raise :class:`ExecutorError` for what this kind can't do."""

    def check_payload(self, payload: RestorePayload, *, agent: AgentView | None) -> None:
        check(payload, agent)

    def execute(self, payload: RestorePayload, context: RunContext) -> Result:
        agent = agent_of(context)
        backup = backup_chosen(payload, kind=self.kind, organisation_id=context.organisation_id, agent=agent.slug)
        self.refuse(backup, payload)
        try:
            target, beneath = target_beneath(payload, backup.source, agent, organisation=context.organisation)
        except ArchiveError as error:
            raise ExecutorError(error.code, str(error), retryable=False) from error
        renamed = self.renamed(backup)
        work = Work(backup=backup, agent=agent, target=target, beneath=beneath, payload=payload, renamed=renamed)
        return restore(work, context)

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        reap(handle, context)


def agent_of(context: RunContext) -> AgentView:
    """The run's agent, which a schedule's check requires."""
    if context.agent is None:
        raise ExecutorError("agent_missing", "The agent of this run was removed.", retryable=False)
    return context.agent
