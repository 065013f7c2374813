"""After a crash: restores that were not finished are taken back, or, where they had placed everything, kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backups.archive import journal as journals
from backups.archive.errors import RestoreBusyError, store_error
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


def recover(
    target: Path,
    *,
    but: str = "",
    beneath: Path | None = None,
    owner: str = "",
    own_only: bool = False,
    staging: str = "",
    record: Callable[[Settled], None] = lambda _: None,
) -> list[Settled]:
    """Finish or undo what crashed restores of this folder left. ``but``: one's own staging. ``beneath``: as
    :func:`open_home` has it. ``owner``: who asks; ``own_only``: leave alone what is not his,
    which is what names him, and the folder ``staging``. ``record`` is told of each before its journal is forgotten.

    Raises ``RestoreBusyError`` when one of them is not dead but at work, or was through and is somebody else's to
    record: forgotten, its former tree would be nobody's.
    """
    target = target.resolve()
    home = home_of(target)
    if not home.is_dir():
        return []
    descriptor = open_home(home, target, beneath)
    try:
        there = os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
        names = sorted(name for name in there if name.startswith(STAGING) and name != but)
        place = _Place(
            target=target,
            home=home,
            descriptor=descriptor,
            owner=owner,
            own_only=own_only,
            staging=staging,
            record=record,
        )
        return [settled for name in names if (settled := _recover_one(name, place))]
    except OSError as error:
        raise store_error(error, str(home)) from error
    finally:
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class _Place:
    target: Path
    home: Path
    descriptor: int
    owner: str
    own_only: bool
    staging: str
    record: Callable[[Settled], None]


def _recover_one(name: str, place: _Place) -> Settled | None:
    try:
        staging = os.open(name, FOLDER, dir_fd=place.descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if os.fstat(staging).st_uid != os.geteuid():
            return None  # not ours: where an agent can write, it may have made it up
        if not _is_meant(journals.load(staging, place.home), name, place):
            return None
        if not journals.try_lock(staging):
            raise RestoreBusyError(f"{place.target} is just being restored by another process. Wait until it is done.")
        journal = journals.load(staging, place.home)  # once more: until the lock was ours it may have gone on
        settled = Settled(said=_settle(journal, name, place), staging=name, journal=journal) if journal else None
        if settled:
            place.record(settled)
        journals.forget(staging)
        shutil.rmtree(name, dir_fd=place.descriptor)
    finally:
        os.close(staging)
    return settled


def _is_meant(journal: Journal | None, name: str, place: _Place) -> bool:
    if journal is None:
        return not place.own_only or name == place.staging
    return journal.target == str(place.target) and (journal.owner == place.owner or not place.own_only)


def _settle(journal: Journal, name: str, place: _Place) -> str:
    what = f"A restore of {journal.archive} to {place.target}"
    if journal.is_undo:
        what = f"An undo of a restore to {place.target}"
    if journal.phase != "moved":
        for step in reversed(journal.steps):
            journals.undo(step, place.descriptor, tidies=not journal.is_undo)
        return f"{what} was cut off and is taken back: what was there before it is there."
    if journal.owner not in {"", place.owner}:
        raise RestoreBusyError(
            f"{what} was cut off after it was through, and {journal.owner} has not settled it yet. Wait a minute and "
            f"try again; should it never be settled, remove {place.home / name} by hand."
        )
    if journal.is_undo:
        if journal.undoes:
            shutil.rmtree(Path(journal.undoes).name, ignore_errors=True, dir_fd=place.descriptor)
        return f"{what} was cut off after it was through: it stays."
    kept = f"; the former tree is in {journal.kept}" if journal.kept else ""
    return f"{what} was cut off after it was in place: it stays{kept}."
