"""An agent's workspace, from a folder or out of its container, to S3, to the tiers or to a folder."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from django.conf import settings
from pydantic import Field

from backups.archive.errors import PlaceRefusedError
from backups.archive.folder import Scope, fingerprint_of, open_folder, outermost, pack_folder
from backups.archive.repack import pack_tar
from backups.archive.tarwriter import TarWriter
from backups.archiving import ArchivePayload, BackupExecutor, Planned, Task
from backups.places import Place, own_paths, place_for
from backups.services.recording import Origin
from backups.services.restores import former_trees
from fleet.clients.docker import DockerClient
from schedules.engine.storable import storable_json
from schedules.executors.base import AgentView, RunContext


class WorkspaceBackupPayload(ArchivePayload):
    """``source`` defaults to the agent's workspace folder. ``leave_out``: paths below it."""

    source: str | None = Field(default=None, min_length=1)
    location: Literal["folder", "container"] = "folder"
    leave_out: tuple[str, ...] = ()
    on_change: Literal["note", "fail"] = "note"


class WorkspaceBackup(BackupExecutor[WorkspaceBackupPayload]):
    """Archives an agent's workspace, with its SHA-256 beside it, reads it back, and keeps what the rules want."""

    key: ClassVar[str] = "workspace.backup"
    title: ClassVar[str] = "Backup of an agent's workspace"
    payload_model = WorkspaceBackupPayload

    def plan(self, payload: WorkspaceBackupPayload, agent: AgentView | None, *, organisation: str) -> Planned:
        plan = _plan(payload, agent, organisation=organisation)
        return lambda context: _task(plan, payload, context)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A payload with its defaults filled in.

    ``root`` is the folder of the agent that ``source`` lies in, None for a path in its container.
    """

    agent: AgentView
    source: str
    root: Path | None
    place: Place
    scope: Scope


def _plan(payload: WorkspaceBackupPayload, agent: AgentView | None, *, organisation: str) -> _Plan:
    if agent is None:
        raise ValueError("A backup needs to know whose workspace: name an agent with --agent.")
    payload.check(agent)
    source = os.path.join(agent.workspace_folder, payload.source or "")  # noqa: PTH118 - maybe a container's
    source = os.path.normpath(source) if source else ""
    if not os.path.isabs(source):  # noqa: PTH117
        raise ValueError(f"The agent '{agent.slug}' has no workspace folder. Set one, or give an absolute source.")
    if not source.strip("/"):
        raise ValueError(f"The source is {source}, all of a host: name the folder that is the agent's.")
    in_container = payload.location == "container"
    if in_container and not agent.container_name:
        raise ValueError(f"The agent '{agent.slug}' has no container to read from. Set its container name first.")
    place = place_for(payload.to, kind="workspace", organisation=organisation, agent=agent.slug)
    root = None if in_container else _root_of(Path(source), agent)
    if root is not None:
        _refuse_itself(Path(source), place)
    leave_out = _left_out(payload, Path(source), root, agent)
    scope = Scope(leave_out=leave_out, strict=payload.on_change == "fail")
    return _Plan(agent=agent, source=source, root=root, place=place, scope=scope)


def _root_of(source: Path, agent: AgentView) -> Path:
    """An agent's backup reads that agent's folders, never the rest of this host."""
    roots = [Path(folder) for folder in (agent.workspace_folder, agent.state_folder) if folder]
    if (root := outermost(source, roots)) is not None:
        return root
    raise PlaceRefusedError(
        f"{source} is not inside of the folders of the agent '{agent.slug}': choose its workspace, its state "
        "folder, or a folder in one of them.",
    )


def _refuse_itself(source: Path, place: Place) -> None:
    """The tiers lie in an agent's state folder by the seed's own plan, and are left out; a chosen folder is not."""
    if place.storage == "folder" and not place.tier and Path(place.root).is_relative_to(source.resolve()):
        raise PlaceRefusedError(f"{place.root} lies in {source}: the archive would swallow itself.")


def _left_out(payload: WorkspaceBackupPayload, source: Path, root: Path | None, agent: AgentView) -> frozenset[str]:
    """What the payload names, and what no backup holds: our own folders, and former trees that restores keep."""
    chosen = {path.strip("/") for path in payload.leave_out}
    if root is not None:
        here = source.resolve()
        own = [*own_paths(), *former_trees(agent.id)]
        chosen |= {str(path.relative_to(here)) for path in own if path.is_relative_to(here)}
    return frozenset(chosen - {"", "."})


def _task(plan: _Plan, payload: WorkspaceBackupPayload, context: RunContext) -> Task:
    def pack(writer: TarWriter) -> str:
        if plan.root is not None:
            writer.packed.extra["leave_out"] = storable_json(sorted(plan.scope.leave_out))
            return pack_folder(open_folder(Path(plan.source), beneath=plan.root), writer, plan.scope).value
        with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
            container = plan.agent.container_name
            pack_tar(iter(client.get_archive(container, plan.source, known=[container])), writer)
        return ""

    def fingerprint() -> str:
        return fingerprint_of(open_folder(Path(plan.source), beneath=plan.root), plan.scope, context.check).value

    return Task(
        agent=plan.agent,
        origin=Origin(
            organisation_id=context.organisation_id,
            agent_id=plan.agent.id,
            agent=plan.agent.slug,
            kind="workspace",
            source=plan.source,
            in_container=plan.root is None,
            schedule=context.schedule,
            job_run_id=context.job_run_id,
        ),
        place=plan.place,
        payload=payload,
        pack=pack,
        fingerprint=fingerprint if plan.root is not None else None,
        tag="S3" if plan.place.storage == "s3" else "Backup",
    )
