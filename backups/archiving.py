"""What every backup executor does around its own reading: see that nothing changed, archive, record, verify, prune."""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from django.conf import settings
from pydantic import Field

from backups.archive.backup import Contents, Made, make_archive
from backups.archive.errors import ArchiveError, S3UnreachableError
from backups.archive.folderstore import FolderStore
from backups.archive.manifest import About
from backups.archive.s3store import S3Store
from backups.archive.stores import Hooks, Store
from backups.archive.tarwriter import TarWriter
from backups.archive.terminal import human_size
from backups.around import Around, around, settle
from backups.encryption import recipient_of
from backups.models import Backup
from backups.places import Place
from backups.progress import telling
from backups.retention.rules import Rules
from backups.services.pruning import backups_prune
from backups.services.recording import Origin, backup_found, backup_record, backup_unchanged
from backups.services.shrinking import shrinking_judge
from backups.services.states import SOURCE_PROBLEM, backup_damaged
from backups.services.verification import backup_verify
from fleet.actors import Actor
from fleet.clients.docker_errors import DockerError
from schedules.engine.clock import database_now
from schedules.executors.base import AgentView, Executor, ExecutorError, Payload, Result, RunContext, Stopped

#: Of a handle: whose archive it is and where it goes, for one that is found complete after a crash.
_RECORD = "record"
#: Seconds that removing an unfinished upload may take before it counts as left.
_REAP_SECONDS = 15.0


class ArchivePayload(Payload):
    """Where an archive goes and how long it stays.

    ``to``: ``s3``, ``hot`` (the tiers) or a folder below BACKUP_ROOT. ``keep``: a number of archives, or rules as
    ``docs/backups.md`` has them. ``recipient``: whom to encrypt it for, ``none`` for nobody; without it, what
    BACKUP_RECIPIENT says. ``verify``: read it back at once. ``if_unchanged``: ``skip`` makes no archive of what the
    last good one holds. ``before``, ``after``: commands in the agent's container around the reading (flush, then go
    on); ``pause``: the container stands still meanwhile.
    """

    to: str | None = Field(default=None, min_length=1)
    keep: Annotated[int, Field(ge=1, le=1000)] | Rules | None = None
    recipient: str | None = Field(default=None, min_length=4, max_length=120)
    verify: bool = True
    if_unchanged: str = Field(default="skip", pattern="^(skip|archive)$")
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    pause: bool = False

    def check(self, agent: AgentView) -> None:
        """Raises ``ValueError`` or an ``ArchiveError`` for what could never be done for this agent."""
        recipient_of(self.recipient)
        self.around().check(agent)

    def around(self) -> Around:
        return Around(before=self.before, after=self.after, pause=self.pause)

    def rules(self) -> Rules:
        if isinstance(self.keep, Rules):
            return self.keep
        return Rules(last=self.keep) if self.keep else self.default_rules()

    def default_rules(self) -> Rules:
        """The tiers have their own times; elsewhere the SOP's last five."""
        return Rules() if self.to == "hot" else Rules(last=settings.WATCHBILL.backup_keep)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One archive to make.

    ``pack`` answers the fingerprint of what it packed, ``fingerprint`` that of what is there now without reading it,
    where there is such a thing. Each may be called twice. What is wrong with the source itself ``pack`` leaves in the
    manifest as ``SOURCE_PROBLEM``. ``said``: the line of success.
    """

    origin: Origin
    agent: AgentView
    place: Place
    payload: ArchivePayload
    pack: Callable[[TarWriter], str]
    fingerprint: Callable[[], str] | None = None
    tag: str = "Backup"
    said: str = "[{tag}] Backup completed successfully: {name}"


#: A payload that was looked at, with its defaults filled in: a run makes a task of it.
Planned = Callable[[RunContext], Task]
P = TypeVar("P", bound=ArchivePayload)


class BackupExecutor(Executor[P]):
    """What backups of every kind share."""

    queue: ClassVar[str] = "backups"
    default_retries: ClassVar[int] = 5
    needs_agent: ClassVar[bool] = True

    @abstractmethod
    def plan(self, payload: P, agent: AgentView | None, *, organisation: str) -> Planned:
        """Raises ``ValueError`` or an ``ArchiveError`` for what could never be archived."""

    def check_payload(self, payload: P, *, agent: AgentView | None) -> None:
        try:
            self.plan(payload, agent, organisation="")
        except ArchiveError as error:
            raise ValueError(str(error)) from error

    def execute(self, payload: P, context: RunContext) -> Result:
        try:
            planned = self.plan(payload, context.agent, organisation=context.organisation)
        except ArchiveError as error:
            raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
        except ValueError as error:
            raise ExecutorError("invalid_payload", str(error), retryable=False) from error
        return archive(planned(context), context)

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        reap(handle, context)


def archive(task: Task, context: RunContext) -> Result:
    """Raises :class:`ExecutorError`."""
    try:
        began = database_now()
        if same := _unchanged(task, began, context):
            return _report_unchanged(same, task, context)
        made = _make(task, context)
        backup = backup_record(
            origin=task.origin,
            place=task.place,
            made=made,
            began_at=began,
            rules=task.payload.rules(),
            details=made.packed.extra,
            key_id=recipient_of(task.payload.recipient).key_id,
        )
    except (ArchiveError, DockerError) as error:
        context.log(f"[{task.tag}] Backup failed: {error}\n")
        raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
    return _report(task, made, backup, context)


def _unchanged(task: Task, began: datetime, context: RunContext) -> Backup | None:
    # What a command before the backup may write is not there yet.
    if task.fingerprint is None or task.payload.if_unchanged != "skip" or task.payload.before:
        return None
    context.check()

    def is_there(same: Backup) -> bool:
        with contextlib.closing(Place.of(same).store(context.check)) as store:
            return store.exists(same.name)

    return backup_unchanged(
        origin=task.origin,
        place=task.place,
        fingerprint=task.fingerprint(),
        key_id=recipient_of(task.payload.recipient).key_id,
        at=began,
        is_there=is_there,
    )


def _make(task: Task, context: RunContext) -> Made:
    recipient = recipient_of(task.payload.recipient)
    with (
        contextlib.closing(task.place.store(context.check)) as store,
        around(task.payload.around(), task.agent, context) as settling,
    ):
        owed = {**settling, _RECORD: {"origin": asdict(task.origin), "place": asdict(task.place)}}
        context.log(f"Archiving {task.origin.source} to {store.place}\n")
        about = About(
            kind=task.origin.kind,
            organisation=context.organisation,
            agent=task.origin.agent,
            source=task.origin.source,
            key_id=recipient.key_id,
        )
        contents = Contents(pack=task.pack, about=about, encrypted=recipient.sink)
        return make_archive(store, contents, hooks=_hooks(context, owed))


def _hooks(context: RunContext, owed: Mapping[str, Any] | None = None, *, is_writing: bool = True) -> Hooks:
    """``owed``: what each handle has to carry besides the upload's own."""

    def words(read: int, written: int) -> str:
        return f"{human_size(read)} read" + (f", {human_size(written)} stored" if is_writing else "")

    def before_publish() -> None:
        context.check()
        if not context.is_current():
            raise Stopped("another attempt has taken over this run")

    return Hooks(
        on_chunk=telling(context, words),
        on_wait=context.check,
        on_handle=lambda handle: context.record_handle({**(owed or {}), **handle}),
        before_publish=before_publish,
    )


def _report(task: Task, made: Made, backup: Backup, context: RunContext) -> Result:
    """What follows a complete archive may fail: the archive stays, and the run says what is amiss."""
    packed = made.packed
    for note in packed.notes:
        context.log(f"Note: {note}\n")
    context.log(f"{packed.entries} entries, {human_size(packed.read)} -> {human_size(made.size)}, {made.sha256}\n")
    if problem := str(backup.details.get(SOURCE_PROBLEM, "")):
        # It may be the best that there is, and is kept; but it must never take the place of a good one.
        backup_damaged(backup=backup, problem=problem)
        raise ExecutorError("source_damaged", f"{backup.name} was made, but {problem}", retryable=False)
    if task.payload.verify:
        _verify(backup, context)
    if shrunk := shrinking_judge(backup):
        context.log(f"Warning: {shrunk}\n")
    gone, warning = backups_prune(
        siblings=Backup.objects.siblings(backup), actor=Actor.system("retention"), now=database_now()
    )
    for name in gone:
        context.log(f"Pruned {name}\n")
    if warning:
        context.log(f"Warning: {warning}\n")
    success = task.said.format(tag=task.tag, name=made.name, place=_shown(task.place))
    context.log(f"{success}\n", stream="stdout")
    return Result(
        summary=success,
        details={
            "backup": backup.pk,
            "name": made.name,
            "size": made.size,
            "sha256": made.sha256,
            "entries": packed.entries,
            "skipped": packed.skipped,
            "changed": packed.changed,
            "pruned": gone,
            "verified": Backup.objects.good().filter(pk=backup.pk).exists(),
        },
    )


def _shown(place: Place) -> str:
    """The place as a path or a URL, with its slash."""
    if place.storage == Backup.Storage.S3:
        return f"s3://{place.root}/{place.prefix}"
    return f"{Path(place.root) / place.prefix}/"


def _verify(backup: Backup, context: RunContext) -> None:
    try:
        checked = backup_verify(backup=backup, hooks=_hooks(context, is_writing=False))
    except ArchiveError as error:
        # Nothing speaks against the archive; the re-check asks again.
        context.log(f"Warning: {backup.name} is complete and could not be read back yet: {error}\n")
        return
    if checked.problem:
        raise ExecutorError("archive_damaged", f"{backup.name} was written and is damaged: {checked.problem}")
    context.log(f"Verified: every byte of {backup.name} was read back.\n")


def _report_unchanged(same: Backup, task: Task, context: RunContext) -> Result:
    told = f"[{task.tag}] Unchanged, same as {same.name}"
    context.log(f"{told}\n", stream="stdout")
    return Result(summary=told, details={"backup": same.pk, "name": same.name, "unchanged": True})


# -- after a crash


def reap(handle: Mapping[str, Any], context: RunContext) -> None:
    """Remove the unfinished upload that a former attempt left, and let its agent go on."""
    try:
        settle(handle, context)
    except DockerError as error:
        raise ExecutorError(error.code, f"The agent may still be paused: {error}") from error
    if "store" not in handle:
        return
    try:
        with contextlib.closing(_store_of(handle)) as store:
            found = store.reap(handle)
        _record_found(handle, context)
    except ArchiveError as error:
        name = handle.get("key") or handle.get("name")
        raise ExecutorError(error.code, f"The unfinished upload of {name} may be left: {error}") from error
    if found:
        context.log("The unfinished archive was removed.\n")


def _record_found(handle: Mapping[str, Any], context: RunContext) -> None:
    """An archive that was published just before its worker died is whole, and nobody knows of it yet."""
    if not (told := handle.get(_RECORD)):
        return
    place = Place(**told["place"])
    name = str(handle.get("name") or handle["key"]).rpartition("/")[2]
    with contextlib.closing(place.store(_patience(place.root))) as store:
        if backup := backup_found(origin=Origin(**told["origin"]), place=place, name=name, store=store):
            context.log(f"{backup.name} was complete already, and is recorded now.\n")


def _store_of(handle: Mapping[str, Any]) -> Store:
    """To reap in: a run that was told to stop is reaped as well, so its context does not end the waiting."""
    if handle["store"] == "folder":
        return FolderStore(Path(handle["folder"]))
    s3 = replace(settings.WATCHBILL.s3, bucket=handle["bucket"])
    return S3Store(s3, "", on_wait=_patience(s3.place))


def _patience(place: str) -> Callable[[], None]:
    until = time.monotonic() + _REAP_SECONDS

    def wait() -> None:
        if time.monotonic() > until:
            raise S3UnreachableError(f"S3 at {place} did not answer within {_REAP_SECONDS:.0f} seconds.")

    return wait
