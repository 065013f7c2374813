"""What every restore does: verify beside, stop the agent, exchange, start it, look, and go back if it is not well."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from pydantic import Field

from backups.archive.errors import (
    ArchiveDamagedError,
    ArchiveError,
    ArchiveMissingError,
    PlaceRefusedError,
)
from backups.archive.extract import Parts, Wanted
from backups.archive.folder import outermost
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
from backups.services.restores import restore_record
from backups.services.states import backup_damaged
from backups.services.verification import top_of
from fleet.actors import Actor
from fleet.clients.docker import DockerClient
from fleet.clients.docker_errors import ContainerMissingError, DockerError
from fleet.errors import InvalidInput
from schedules.engine.clock import database_now
from schedules.executors.base import AgentView, ExecutorError, Payload, Result, RunContext, Stopped

#: Seconds between two progress lines.
_EVERY = 2.0
_OWNER = r"^[0-9]{1,10}:[0-9]{1,10}$"
_MODE = r"^0?[0-7]{3}$"


class RestorePayload(Payload):
    """``backup``: a number, a name, or ``latest``, the newest good one. ``paths``: only these. ``to``: another folder.

    ``chown``: ``1000:1000`` for all that is restored. ``stop_container``: stop the agent's container before the
    exchange and start it afterwards. ``health``: whether the agent has to be well afterwards, else the former tree
    comes back.
    """

    backup: int | str = "latest"
    paths: tuple[str, ...] = ()
    to: str | None = Field(default=None, min_length=1)
    chown: str | None = Field(default=None, pattern=_OWNER)
    folder_mode: str | None = Field(default=None, pattern=_MODE)
    file_mode: str | None = Field(default=None, pattern=_MODE)
    stop_container: bool = True
    stop_seconds: int = Field(default=10, ge=0, le=600)
    health: Literal["check", "skip"] = "check"
    health_seconds: int = Field(default=60, ge=1, le=1800)
    allow_damaged: bool = False


def owner_of(text: str | None) -> tuple[int, int] | None:
    """``1000:1000`` as numbers. Raises :class:`InvalidInput`."""
    if text is None:
        return None
    if not re.match(_OWNER, text):
        raise InvalidInput(f"{text!r} is no owner: give two numbers, such as 1000:1000.", field="chown")
    user, _, group = text.partition(":")
    return int(user), int(group)


def path_parts(text: str) -> Parts:
    """A path below the restored folder. Raises :class:`InvalidInput`."""
    parts = tuple(part for part in text.split("/") if part not in {"", "."})
    if not parts or ".." in parts or text.startswith("/"):
        raise InvalidInput(f"{text!r} is no path in the archive: give one such as notes/today.md.", field="paths")
    return parts


def modes_of(folder: str | None, file: str | None) -> tuple[int, int] | None:
    """Of folders and files; seed 002's 0700 and 0600 stand in where one is missing. Raises :class:`InvalidInput`."""
    if folder is None and file is None:
        return None
    for field_, text in (("folder_mode", folder), ("file_mode", file)):
        if text is not None and not re.match(_MODE, text):
            raise InvalidInput(f"{text!r} is no mode: give three octal digits, such as 0700.", field=field_)
    return int(folder or "700", 8), int(file or "600", 8)


@dataclass(frozen=True, kw_only=True)
class Work:
    """One restore, with everything looked up."""

    backup: Backup
    agent: AgentView
    target: Path
    payload: RestorePayload
    beneath: Path | None = None
    renamed: Callable[[Parts], Parts] = field(default=lambda path: path)

    @property
    def is_in_place(self) -> bool:
        return self.payload.to is None


def backup_chosen(payload: RestorePayload, *, kind: str, organisation_id: int, agent: str) -> Backup:
    """The agent's backup that the payload names. Raises :class:`ExecutorError`."""
    rows = Backup.objects.there().filter(organisation_id=organisation_id, agent_slug=agent, kind=kind)
    if payload.backup == "latest":
        found = rows.good().order_by("-still_at", "-began_at").first()
        if found is None:
            raise ExecutorError(
                "backup_missing",
                f"There is no verified {kind} backup of '{agent}': `manage.py backup ls --agent {agent}` shows what "
                "there is.",
                retryable=False,
            )
        return found
    named = {"pk": payload.backup} if isinstance(payload.backup, int) else {"name": payload.backup}
    found = rows.filter(**named).first()
    if found is None:
        raise ExecutorError(
            "backup_missing", f"There is no {kind} backup {payload.backup!r} of '{agent}'.", retryable=False
        )
    if found.state == Backup.State.DAMAGED and not payload.allow_damaged:
        raise ExecutorError(
            "backup_damaged",
            f"{found.name} is damaged: {found.problem} Take another one, or say allow_damaged: true to try it.",
            retryable=False,
        )
    return found


def target_in(payload: RestorePayload, source: str, agent: AgentView, *, organisation: str = "") -> Path:
    """Where to: the place that was archived, or ``to``; in the agent's folders, or below ``restores`` of our own data.

    Raises ``PlaceRefusedError``.
    """
    return target_beneath(payload, source, agent, organisation=organisation)[0]


def target_beneath(
    payload: RestorePayload, source: str, agent: AgentView, *, organisation: str = ""
) -> tuple[Path, Path]:
    """The target, and the outermost folder of the operator's that it lies in: below that an agent may put links."""
    target = Path(payload.to or source)
    roots = [Path(folder) for folder in (agent.workspace_folder, agent.state_folder) if folder]
    # Each organisation has its own: what lies there is somebody's workspace. Without its name only the form is judged.
    roots.append(Path(settings.WATCHBILL.data_dir) / "restores" / organisation)
    root = outermost(target, roots)
    if not target.is_absolute() or root is None:
        raise PlaceRefusedError(
            f"{target} is not inside of the folders of the agent '{agent.slug}', nor below {roots[-1]}: choose a "
            "folder there. `manage.py backup restore --file` restores anywhere.",
        )
    return target, root


def check(payload: RestorePayload, agent: AgentView | None) -> None:
    """What could never be restored is refused when it is asked for. Raises ``ValueError``."""
    for path in payload.paths:
        try:
            path_parts(path)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
    if payload.to is not None and agent is not None:
        try:
            target_in(payload, "", agent)
        except ArchiveError as error:
            raise ValueError(str(error)) from error


def restore(work: Work, context: RunContext) -> Result:
    """Raises :class:`ExecutorError`; then the former tree stands, and what was stopped runs again."""
    if row := Restore.objects.filter(job_run_id=context.job_run_id, state=Restore.State.DONE).first():
        return _report(work, row, context)  # by a former attempt of this run
    began, started = database_now(), time.monotonic()
    values: dict[str, Any] = {
        "organisation_id": context.organisation_id,
        "agent_id": work.agent.id,
        "agent_slug": work.agent.slug,
        "backup": work.backup,
        "archive": work.backup.name,
        "job_run_id": context.job_run_id,
        "target": str(work.target),
        "began_at": began,
        "actor": Actor.system("worker"),
    }
    try:
        order = order_of(work)
        placed = _carry_out(work, order, context)
        found = order.wanted.written
    except (ArchiveError, DockerError, HealthError) as error:
        # A refusal that comes of the target, or of what was asked for, says nothing against the archive.
        if isinstance(error, ArchiveDamagedError | ArchiveMissingError):
            backup_damaged(backup=work.backup, problem=str(error))
        restore_record(state=Restore.State.FAILED, problem=str(error), seconds=time.monotonic() - started, **values)
        context.log(f"Restore failed: {error}\nThe former tree stands.\n")
        raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
    row = restore_record(
        state=Restore.State.DONE,
        kept=str(placed.kept or ""),
        brought=list(placed.brought),
        retired=list(placed.retired),
        carried=list(placed.carried),
        entries=found[0],
        tree_bytes=found[1],
        seconds=time.monotonic() - started,
        **values,
    )
    return _report(work, row, context)


def _report(work: Work, row: Restore, context: RunContext) -> Result:
    told = f"[Restore] Restored {work.backup.name} to {work.target} in {row.seconds:.1f} s"
    context.log(f"{told}: {row.entries} entries, {human_size(row.tree_bytes)}\n", stream="stdout")
    if row.kept:
        context.log(
            f"What was there before is kept in {row.kept}. When all is well: manage.py backup confirm {row.pk}; to go "
            f"back: manage.py backup undo {row.pk}\n",
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
    wanted = Wanted(
        paths=tuple(map(path_parts, payload.paths)),
        whole=top_of(backup.kind) != "",
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
        keep=_kept_in_place(work),
        beneath=work.beneath,
    )


def _kept_in_place(work: Work) -> tuple[str, ...]:
    """What lies in the target and in no archive of it: our own folders, and what the backup was told to leave out."""
    here = work.target.resolve()
    own = [str(path.relative_to(here)) for path in own_paths() if path != here and path.is_relative_to(here)]
    named = [str(path) for path in work.backup.details.get("leave_out", [])]
    plain = [path for path in named if path and not {"", ".", ".."} & set(path.split("/"))]
    return tuple(dict.fromkeys([*own, *plain]))


def _carry_out(work: Work, order: Order, context: RunContext) -> Placed:
    backup = work.backup
    context.record_handle(_handle(work))
    with (
        contextlib.closing(Place.of(backup).store(context.check)) as store,
        Restoration(store, backup.name, order, hooks_of(context)) as restoration,
    ):
        context.log(f"Restoring {backup.name} from {store.place} to {work.target}\n")
        found, _ = restoration.stage()
        if problems := content_problems(backup.kind, restoration.staged, on_wait=context.check):
            backup_damaged(backup=backup, problem=problems[0])
            raise _bad_content(backup, problems)
        context.log(f"Verified beside: {found.entries} entries, {human_size(found.size)}\n")
        placed = _exchange(restoration, work, context)
        restoration.finish()
    return placed


def _exchange(restoration: Restoration, work: Work, context: RunContext) -> Placed:
    """With the agent's container stopped, if there is one; and back again, if the agent is not well afterwards."""
    with _stopped(work, context) as start:
        context.check()
        if not context.is_current():
            raise Stopped("another attempt has taken over this run")
        placed = restoration.place()
        try:
            if start() and work.payload.health == "check" and work.is_in_place:
                wait_until_healthy(work.agent, seconds=work.payload.health_seconds, check=context.check)
        except BaseException as error:
            context.log(f"The agent is not well with what was restored ({error}): the former tree comes back.\n")
            with _stopped(work, context):
                restoration.undo()
            raise
    return placed


@contextlib.contextmanager
def _stopped(work: Work, context: RunContext) -> Any:
    """Stops the container, if it is there, runs, and is to be; starts it again at the end, or when told."""
    name = work.agent.container_name
    if not name and work.is_in_place:
        context.log(
            f"{work.agent.slug} has no container that could be stopped: whoever has its files open goes on writing to "
            "what is kept. Stop it yourself.\n",
        )
    if not (name and work.payload.stop_container and work.is_in_place):
        yield lambda: True
        return
    with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
        was_running = _is_running(client, name, context)
        if was_running:
            context.record_handle(_handle(work, container=name))
            client.stop(name, seconds=work.payload.stop_seconds)
            context.log(f"Stopped the container {name}\n")
        is_started = False

        def start() -> bool:
            """Whether it runs now: one that had been stopped before stays so, and can't be well."""
            nonlocal is_started
            if was_running and not is_started:
                client.start(name)
                is_started = True
                context.log(f"Started the container {name}\n")
            return was_running

        try:
            yield start
        finally:
            start()


def _is_running(client: DockerClient, name: str, context: RunContext) -> bool:
    """One that was removed keeps nobody from restoring its files."""
    try:
        return client.state(name).running
    except ContainerMissingError:
        context.log(f"There is no container {name} to stop: restoring its files all the same.\n")
        return False


def _handle(work: Work, container: str = "") -> Mapping[str, Any]:
    return {"restore": str(work.target), "container": container, "backup": work.backup.pk}


def _record_found(settled: Settled, handle: Mapping[str, Any], context: RunContext) -> None:
    """A restore that was in place when its worker died is one: another one would take its tree for the former one."""
    agent, backup = context.agent, Backup.objects.filter(pk=handle["backup"]).first()
    restore_record(
        organisation_id=context.organisation_id,
        agent_id=agent.id if agent else 0,
        agent_slug=agent.slug if agent else "",
        backup=backup,
        archive=settled.journal.archive,
        job_run_id=context.job_run_id,
        target=settled.journal.target,
        kept=settled.journal.kept,
        state=Restore.State.DONE,
        began_at=database_now(),
        actor=Actor.system("worker"),
        **settled.journal.placed,
    )


def reap(handle: Mapping[str, Any], context: RunContext) -> None:
    """Finish or undo what a former attempt left, and start the container that it had stopped."""
    try:
        for settled in recover(Path(handle["restore"])):
            context.log(f"{settled.said}\n")
            if settled.stays and handle.get("backup"):
                _record_found(settled, handle, context)
        if handle["container"]:
            with (
                contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client,
                contextlib.suppress(ContainerMissingError),
            ):
                client.start(handle["container"])
    except (ArchiveError, DockerError) as error:
        raise ExecutorError(error.code, f"A restore that was cut off is not settled yet: {error}") from error


def hooks_of(context: RunContext) -> Hooks:
    next_line = time.monotonic() + _EVERY

    def chunk(read: int, _: int) -> None:
        nonlocal next_line
        context.check()
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + _EVERY
            context.log(f"{human_size(read)} unpacked\n")

    return Hooks(on_chunk=chunk, on_wait=context.check)


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
