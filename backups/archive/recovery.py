"""After a crash: restores that were not finished are taken back, or, where they had placed everything, kept."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from backups.archive import journal as journals
from backups.archive.errors import RestoreBusyError
from backups.archive.home import FOLDER, home_of, open_home
from backups.archive.journal import STAGING, Journal


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of a restore, or of its undo, that was cut off. ``stays``: it was through, and stays.

    ``staging``: the name of the folder that it worked in; unlike what its journal says, it is known to be so.
    """

    said: str
    staging: str
    journal: Journal

    @property
    def stays(self) -> bool:
        return self.journal.phase == "moved"


def recover(target: Path, *, but: str = "", beneath: Path | None = None) -> list[Settled]:
    """Finish or undo what crashed restores of this folder left. ``but``: one's own staging. ``beneath``: as
    :func:`open_home` has it.

    Raises ``RestoreBusyError`` when one of them is not dead but at work.
    """
    target = target.resolve()
    home = home_of(target)
    if not home.is_dir():
        return []
    descriptor = open_home(home, target, beneath)
    try:
        there = os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
        names = sorted(name for name in there if name.startswith(STAGING) and name != but)
        return [settled for name in names if (settled := _recover_one(name, descriptor, target))]
    finally:
        os.close(descriptor)


def _recover_one(name: str, home: int, target: Path) -> Settled | None:
    try:
        staging = os.open(name, FOLDER, dir_fd=home)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if os.fstat(staging).st_uid != os.geteuid():
            return None  # not ours: where an agent can write, it may have made it up
        journal = journals.load(staging)
        if journal is not None and journal.target != str(target):
            return None
        if not journals.try_lock(staging):
            raise RestoreBusyError(f"{target} is just being restored by another process. Wait until it is done.")
        said = _settle(journal, home, target) if journal else ""
        settled = Settled(said=said, staging=name, journal=journal) if journal else None
        shutil.rmtree(name, dir_fd=home)
    finally:
        os.close(staging)
    return settled


def _settle(journal: Journal, home: int, target: Path) -> str:
    what = f"A restore of {journal.archive} to {target}"
    if journal.is_undo:
        what = f"An undo of a restore to {target}"
    if journal.phase == "moved" and journal.is_undo:
        if journal.undoes:
            shutil.rmtree(Path(journal.undoes).name, ignore_errors=True, dir_fd=home)
        return f"{what} was cut off after it was through: it stays."
    if journal.phase == "moved":
        kept = f"; the former tree is in {journal.kept}" if journal.kept else ""
        return f"{what} was cut off after it was in place: it stays{kept}."
    for step in reversed(journal.steps):
        journals.undo(step, home)
    return f"{what} was cut off and is taken back: what was there before it is there."
