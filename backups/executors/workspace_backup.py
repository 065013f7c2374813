"""An agent's workspace, from a folder or out of its container, to S3 or a folder; the newest few stay."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from django.conf import settings
from pydantic import Field

from backups.archive.backup import Made, make_archive
from backups.archive.errors import ArchiveError, PlaceRefusedError, S3UnreachableError
from backups.archive.folder import open_folder, pack_folder
from backups.archive.folderstore import FolderStore
from backups.archive.manifest import About
from backups.archive.repack import pack_tar
from backups.archive.s3store import S3Store, clean_prefix
from backups.archive.stores import Hooks
from backups.archive.tarwriter import TarWriter
from backups.archive.terminal import human_size
from fleet.clients.docker import DockerClient
from fleet.clients.docker_errors import DockerError
from schedules.executors.base import AgentView, Executor, ExecutorError, Payload, Result, RunContext, Stopped

#: Seconds between two progress lines.
_EVERY = 2.0
#: Seconds that removing an unfinished upload may take before it counts as left.
_REAP_SECONDS = 15.0


class WorkspaceBackupPayload(Payload):
    """``source`` defaults to the agent's workspace folder, ``to`` is ``s3`` or an absolute folder."""

    source: str | None = Field(default=None, min_length=1)
    location: Literal["folder", "container"] = "folder"
    to: str | None = Field(default=None, min_length=1)
    keep: int | None = Field(default=None, ge=1, le=1000)


class WorkspaceBackup(Executor[WorkspaceBackupPayload]):
    """Archives an agent's workspace to S3 or a folder, with its SHA-256 beside it, and keeps the newest few."""

    key: ClassVar[str] = "workspace.backup"
    title: ClassVar[str] = "Backup of an agent's workspace"
    queue: ClassVar[str] = "backups"
    default_retries: ClassVar[int] = 5
    needs_agent: ClassVar[bool] = True
    payload_model = WorkspaceBackupPayload

    def check_payload(self, payload: WorkspaceBackupPayload, *, agent: AgentView | None) -> None:
        try:
            _plan(payload, agent)
        except ArchiveError as error:
            raise ValueError(str(error)) from error

    def execute(self, payload: WorkspaceBackupPayload, context: RunContext) -> Result:
        tag = "S3" if payload.to in {None, "s3"} else "Backup"
        try:
            made = _make(_plan(payload, context.agent), context)
        except (ArchiveError, DockerError) as error:
            context.log(f"[{tag}] Backup failed: {error}\n")
            raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
        except ValueError as error:
            raise ExecutorError("invalid_payload", str(error), retryable=False) from error
        return _report(made, tag, context)

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        try:
            with contextlib.closing(_store_of(handle)) as store:
                found = store.reap(handle)
        except ArchiveError as error:
            name = handle.get("key") or handle.get("name")
            raise ExecutorError(error.code, f"The unfinished upload of {name} may be left: {error}") from error
        if found:
            context.log("The unfinished upload was removed.\n")


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A payload with its defaults filled in.

    ``root`` is the folder of the agent that ``source`` lies in, None for a path in its container;
    ``folder`` is the destination, None for S3.
    """

    agent: AgentView
    source: str
    root: Path | None
    folder: Path | None
    keep: int


def _plan(payload: WorkspaceBackupPayload, agent: AgentView | None) -> _Plan:
    if agent is None:
        raise ValueError("A backup needs to know whose workspace: name an agent with --agent.")
    source = os.path.join(agent.workspace_folder, payload.source or "")  # noqa: PTH118 - maybe a container's
    if not os.path.isabs(source):  # noqa: PTH117
        raise ValueError(f"The agent '{agent.slug}' has no workspace folder. Set one, or give an absolute source.")
    in_container = payload.location == "container"
    if in_container and not agent.container_name:
        raise ValueError(f"The agent '{agent.slug}' has no container to read from. Set its container name first.")
    plan = _Plan(
        agent=agent,
        source=source,
        root=None if in_container else _root_of(Path(source), agent),
        folder=_destination(payload.to),
        keep=payload.keep or settings.WATCHBILL.backup_keep,
    )
    _refuse_itself(plan)
    return plan


def _root_of(source: Path, agent: AgentView) -> Path:
    """An agent's backup reads that agent's folders, never the rest of this host."""
    roots = [Path(folder) for folder in (agent.workspace_folder, agent.state_folder) if folder]
    for root in roots:
        if source.resolve().is_relative_to(root.resolve()):
            return root
    raise PlaceRefusedError(
        f"{source} is not inside of the folders of the agent '{agent.slug}': choose its workspace, its state "
        "folder, or a folder in one of them.",
    )


def _destination(to: str | None) -> Path | None:
    if to in {None, "s3"}:
        return None
    folder, root = Path(str(to)), Path(settings.WATCHBILL.backup_root)
    if not folder.is_absolute() or not folder.resolve().is_relative_to(root.resolve()):
        raise PlaceRefusedError(
            f"Backups go to S3 (to: s3) or to a folder below {root}, not to '{to}'. Name a folder there.",
        )
    return folder.resolve()


def _refuse_itself(plan: _Plan) -> None:
    if plan.root and plan.folder and plan.folder.is_relative_to(Path(plan.source).resolve()):
        raise PlaceRefusedError(f"{plan.folder} lies in {plan.source}: the archive would swallow itself.")


def _store(plan: _Plan, context: RunContext) -> S3Store | FolderStore:
    """One prefix per agent, in a folder too: agents that share a place must never prune each other."""
    prefix = f"workspace/{context.organisation}/{plan.agent.slug}"
    if plan.folder is None:
        return S3Store(settings.WATCHBILL.s3, prefix, on_wait=context.check)
    return FolderStore(plan.folder / clean_prefix(prefix))


def _store_of(handle: Mapping[str, Any]) -> S3Store | FolderStore:
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


def _make(plan: _Plan, context: RunContext) -> Made:
    with contextlib.closing(_store(plan, context)) as store:
        context.log(f"Archiving {plan.source} to {store.place}\n")
        about = About(organisation=context.organisation, agent=plan.agent.slug, source=plan.source)
        return make_archive(
            store, lambda writer: _pack(plan, writer), keep=plan.keep, about=about, hooks=_hooks(context)
        )


def _pack(plan: _Plan, writer: TarWriter) -> str:
    if plan.root is not None:
        return pack_folder(open_folder(Path(plan.source), beneath=plan.root), writer).value
    with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
        container = plan.agent.container_name
        pack_tar(iter(client.get_archive(container, plan.source, known=[container])), writer)
    return ""


def _hooks(context: RunContext) -> Hooks:
    next_line = time.monotonic() + _EVERY

    def chunk(read: int, written: int) -> None:
        nonlocal next_line
        context.check()
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + _EVERY
            context.log(f"{human_size(read)} read, {human_size(written)} stored\n")

    def before_publish() -> None:
        context.check()
        if not context.is_current():
            raise Stopped("another attempt has taken over this run")

    return Hooks(
        on_chunk=chunk,
        on_wait=context.check,
        on_handle=context.record_handle,
        before_publish=before_publish,
    )


def _report(made: Made, tag: str, context: RunContext) -> Result:
    packed = made.packed
    for note in packed.notes:
        context.log(f"Note: {note}\n")
    if made.warning:
        context.log(f"Warning: {made.warning}\n")
    for name in made.pruned:
        context.log(f"Pruned {name}\n")
    context.log(f"{packed.entries} entries, {human_size(packed.read)} -> {human_size(made.size)}, {made.sha256}\n")
    success = f"[{tag}] Backup completed successfully: {made.name}"
    context.log(f"{success}\n", stream="stdout")
    return Result(
        summary=success,
        details={
            "name": made.name,
            "size": made.size,
            "sha256": made.sha256,
            "entries": packed.entries,
            "skipped": packed.skipped,
            "pruned": list(made.pruned),
        },
    )
