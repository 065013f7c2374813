"""After a crash: restores that were not finished are taken back, or, where they had placed everything, kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from backups.archive import journal as journals
from backups.archive.errors import RestoreBusyError
from backups.archive.journal import STAGING, Journal

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def recover(target: Path, *, but: str = "") -> list[str]:
    """Finish or undo what crashed restores of this folder left, and say what was done. ``but``: one's own staging.

    Raises ``RestoreBusyError`` when one of them is not dead but at work.
    """
    target = target.resolve()
    home = target if target.is_mount() else target.parent
    if not home.is_dir():
        return []
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        there = os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
        names = sorted(name for name in there if name.startswith(STAGING) and name != but)
        return [said for name in names if (said := _recover_one(name, descriptor, target))]
    finally:
        os.close(descriptor)


def _recover_one(name: str, home: int, target: Path) -> str:
    try:
        staging = os.open(name, _FOLDER, dir_fd=home)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        if os.fstat(staging).st_uid != os.geteuid():
            return ""  # not ours: where an agent can write, it may have made it up
        journal = journals.load(staging)
        if journal is not None and journal.target != str(target):
            return ""
        if not journals.try_lock(staging):
            raise RestoreBusyError(f"{target} is just being restored by another process. Wait until it is done.")
        said = _settle(journal, home, target) if journal else ""
        shutil.rmtree(name, dir_fd=home)
    finally:
        os.close(staging)
    return said


def _settle(journal: Journal, home: int, target: Path) -> str:
    if journal.phase == "moved":
        kept = f"; the former tree is in {journal.kept}" if journal.kept else ""
        return f"A restore of {journal.archive} to {target} was cut off after it was in place: it stays{kept}."
    for step in reversed(journal.steps):
        journals.undo(step, home)
    return f"A restore of {journal.archive} to {target} was cut off and is undone: what was there before is there."
