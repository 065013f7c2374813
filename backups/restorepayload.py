"""What a restore is asked for: which backup, what of it, where to, and how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from django.conf import settings
from pydantic import Field

from backups.archive.errors import ArchiveError, PlaceRefusedError
from backups.archive.extract import Parts
from backups.archive.folder import outermost
from backups.models import Backup
from fleet.errors import InvalidInput
from schedules.executors.base import AgentView, ExecutorError, Payload

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
            f"{found.name} is not to be trusted: {found.problem} Take another one, or say allow_damaged "
            "(--allow-damaged) to try it.",
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
    if not (payload.to or source):
        raise PlaceRefusedError("This archive does not say where it came from: name a folder to restore it to (to).")
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
