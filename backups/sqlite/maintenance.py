"""The engine of ``database.maintain``: look at a copy first, then shrink what is sound."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from backups.sqlite import isolated
from backups.sqlite.checking import Checked, check_copy
from backups.sqlite.copying import Copied, copy_database
from backups.sqlite.errors import DatabaseUnreadableError, OtherWayError
from backups.sqlite.isolated import Check, nothing
from backups.sqlite.places import Root, open_parent
from backups.sqlite.statistics import Statistics, read_statistics

#: Seconds to wait for a busy database, and for which the agent may be kept from writing.
PATIENCE, MOST_SECONDS = 10.0, 60.0


@dataclass(frozen=True, kw_only=True)
class Vacuumed:
    """Sizes in bytes of the database's own file; ``checkpointed``: no WAL of ours is left to be worked in."""

    before: int
    after: int
    checkpointed: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Maintained:
    """``vacuumed`` is None when the database is damaged, or when there was nothing to gain."""

    copied: Copied
    checked: Checked
    statistics: Statistics
    vacuumed: Vacuumed | None


def maintain_database(
    root: Root,
    name: str,
    scratch: Path,
    *,
    least_gain: float = 0.0,
    patience: float = PATIENCE,
    most_seconds: float = MOST_SECONDS,
    check: Check = nothing,
) -> Maintained:
    """Copy the database into the folder ``scratch``, check and count the copy, and vacuum the source if it is sound.

    Not when less than ``least_gain`` of its pages are free (0.0: always). Raises what its steps raise; the source is
    then as it was, or vacuumed. The copy is removed.
    """
    copy = scratch / "maintained.db"
    copied = copy_database(root, name, copy, patience=patience, check=check)
    try:
        checked = check_copy(copy, level="integrity", check=check)
        statistics = read_statistics(copy, check=check)
    finally:
        copy.unlink()
    vacuumed = None
    if checked.ok and statistics.free_pages >= least_gain * statistics.pages:
        vacuumed = vacuum_database(root, name, patience=patience, most_seconds=most_seconds, check=check)
    return Maintained(copied=copied, checked=checked, statistics=statistics, vacuumed=vacuumed)


def vacuum_database(
    root: Root,
    name: str,
    *,
    patience: float = PATIENCE,
    most_seconds: float = MOST_SECONDS,
    check: Check = nothing,
) -> Vacuumed:
    """VACUUM in place, for at most ``most_seconds``, in which no one else can write to the database.

    Needs twice its size free on its disk. Whatever is raised, or killed, SQLite's journal puts the database back:
    ``DatabaseBusyError``, ``DiskFullError``, ``MaintenanceRefusedError`` (neither root nor the owner),
    ``DatabaseDamagedError``, ``DatabaseSwappedError`` and those of reaching it.
    """
    begun = time.monotonic()
    folder, base = open_parent(root, name)
    try:
        request = {"folder": folder, "name": base, "patience": patience, "most_seconds": most_seconds}
        answer = isolated.run("vacuum", request, folders=(folder,), check=check, gently=True)
    except OtherWayError as error:
        raise DatabaseUnreadableError(
            f"SQLite could not open {error} for writing, so nothing was changed. Check that the folder and the files "
            "beside the database may be written to by its owner.",
        ) from error
    finally:
        os.close(folder)
    return Vacuumed(seconds=time.monotonic() - begun, **answer)
