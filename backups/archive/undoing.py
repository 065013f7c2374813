"""Taking a restore back later: the former tree, or what there was of it, returns to its place, wholly or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from backups.archive import journal as journals
from backups.archive.errors import RestoreBusyError, store_error
from backups.archive.journal import COMPANIONS, STAGING, Journal, Step
from backups.archive.recovery import recover

_GONE = "gone"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What a restore did to its target. ``kept``: where the former tree is, None where there was none.

    ``brought`` and ``retired``: paths below the target that it put there, and that it moved to ``kept``; both are empty
    when the target was exchanged as a whole. ``carried``: paths that went over from the former tree into the new one.
    """

    kept: Path | None
    brought: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return not (self.brought or self.retired)


def put_back(target: Path, placed: Placed) -> None:
    """What the restore brought goes for good; what it retired is in its place again. Journalled as a restore is.

    Raises ``RestoreBusyError``, or the family's error for what the disk says.
    """
    if placed.kept is None:
        raise ValueError("there is no former tree")
    with contextlib.ExitStack() as stack:
        try:
            _put_back(target.resolve(), placed.kept, placed, stack)
        except OSError as error:
            raise store_error(error, str(target)) from error


def _put_back(target: Path, kept: Path, placed: Placed, stack: contextlib.ExitStack) -> None:
    home_path = target if target.is_mount() else target.parent
    home = _open(home_path, None, stack)
    name = f"{STAGING}{secrets.token_hex(8)}"
    os.mkdir(name, 0o700, dir_fd=home)
    staging = _open(name, home, stack)
    if not journals.try_lock(staging):
        raise RestoreBusyError(f"{target} is just being restored by another process. Wait until it is done.")
    journal = Journal(target=str(target), staging=name, archive="what was there before")
    journal.save(staging)
    stack.callback(shutil.rmtree, name, ignore_errors=True, dir_fd=home)
    recover(target, but=name)
    prefix = "" if home_path == target else f"{target.name}/"
    if placed.is_whole:
        journal.steps = _whole(target.name, kept.name, name, home, staging)
    else:
        journal.steps = _paths(prefix, kept.name, name, placed, home)
    journal.steps = _carried(prefix, kept.name, placed, home) + journal.steps
    _carry_out(journal, home, staging)
    shutil.rmtree(kept.name, ignore_errors=True, dir_fd=home)


def _carry_out(journal: Journal, home: int, staging: int) -> None:
    journal.phase = "moving"
    journal.save(staging)
    try:
        for step in journal.steps:
            journals.take(step, home)
    except BaseException:
        for step in reversed(journal.steps):
            journals.undo(step, home)
        raise
    journal.phase = "moved"
    journal.save(staging)


def _whole(target: str, kept: str, staging: str, home: int, staged: int) -> list[Step]:
    gone = f"{staging}/{_GONE}"
    former, present = _inode(kept, home), _inode(target, home)
    if journals.can_exchange(staged):
        return [
            Step(source=kept, destination=target, inode=former, exchange=True),
            Step(source=kept, destination=gone, inode=present),
        ]
    return [Step(source=target, destination=gone, inode=present), Step(source=kept, destination=target, inode=former)]


def _carried(prefix: str, kept: str, placed: Placed, home: int) -> list[Step]:
    """Back into the former tree, before that returns."""
    return [
        Step(source=f"{prefix}{path}", destination=f"{kept}/{path}", inode=inode)
        for path in placed.carried
        if (inode := _inode_or_none(f"{prefix}{path}", home)) is not None
    ]


def _paths(prefix: str, kept: str, staging: str, placed: Placed, home: int) -> list[Step]:
    away = [
        Step(source=f"{prefix}{path}", destination=f"{staging}/{_GONE}/{path}", inode=inode)
        for path in (brought + companion for brought in placed.brought for companion in ("", *COMPANIONS))
        if (inode := _inode_or_none(f"{prefix}{path}", home)) is not None
    ]
    back = [
        Step(source=f"{kept}/{path}", destination=f"{prefix}{path}", inode=_inode(f"{kept}/{path}", home))
        for path in placed.retired
    ]
    return away + back


def _inode(path: str, home: int) -> int:
    return os.stat(path, dir_fd=home, follow_symlinks=False).st_ino


def _inode_or_none(path: str, home: int) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        return _inode(path, home)
    return None


def _open(folder: Path | str, parent: int | None, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(folder, _FOLDER, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return descriptor
