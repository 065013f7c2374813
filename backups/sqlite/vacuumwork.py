"""VACUUM of an agent's database, in place. Runs in the child.

The one piece of work here that writes to a source. As root only locked into the folder as the database's
owner, else only as that owner: rolling back a journal deletes the super-journal that it names, and an agent
can write any name into a journal, so whoever writes here must have no more power than the agent has.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from backups.archive.errors import DiskFullError
from backups.sqlite.child import Line
from backups.sqlite.confine import Descriptors, confine, connect, uri
from backups.sqlite.errors import DatabaseBusyError, MaintenanceRefusedError
from backups.sqlite.places import open_database
from backups.sqlite.trouble import is_busy, translated

#: VACUUM writes a temporary database, then a journal or WAL of the same size.
_COPIES, _SPARE = 2, 16 * 1024**2
_NAP = 0.05


def vacuum(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    folder, name = int(request["folder"]), str(request["name"])
    pinned, _ = open_database(folder, name)
    before, patience = os.fstat(pinned).st_size, float(request["patience"])
    _room(folder, name, before)
    place = _confined(folder, name, pinned)
    opened = Descriptors(folder, name, pinned)
    try:
        source = connect(uri(place, name, "mode=rw"))
        source.execute("PRAGMA temp_store=FILE")  # beside the database: memory is for others
        _patiently(source, "PRAGMA user_version", patience, line)
        opened.prove()
        _bounded(source, line, float(request["most_seconds"]))
        _patiently(source, "VACUUM", patience, line)
        checkpointed = _checkpoint(source)
        line.watch(source)
        source.close()
    except sqlite3.Error as error:
        raise _told(error, name, line) from error
    return {"before": before, "after": os.fstat(pinned).st_size, "checkpointed": checkpointed}


def _room(folder: int, name: str, size: int) -> None:
    disk = os.fstatvfs(folder)
    free, needed = disk.f_bavail * disk.f_frsize, _COPIES * size + _SPARE
    if free < needed:
        raise DiskFullError(
            f"{name} was not vacuumed: that takes {needed / 1e6:,.0f} MB of its disk for a while, and "
            f"{free / 1e6:,.0f} MB are free. Nothing was changed: free some space, then try again.",
        )


def _confined(folder: int, name: str, pinned: int) -> str:
    owner = os.fstat(pinned)
    place = confine(folder, owner)
    if os.geteuid() != owner.st_uid or (place and owner.st_uid == 0):
        raise MaintenanceRefusedError(
            f"{name} was not vacuumed: only its owner (user {owner.st_uid}) may safely write to it, or root who may "
            "change its root folder and act as that owner. Run the maintenance as one of these.",
        )
    return place


def _patiently(source: sqlite3.Connection, statement: str, patience: float, line: Line) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            source.execute(statement).fetchall()
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
        else:
            return
        line.beat()
        time.sleep(_NAP)


def _bounded(source: sqlite3.Connection, line: Line, seconds: float) -> None:
    """The agent can't write meanwhile, so it must not take long: what is interrupted rolls back."""
    until = time.monotonic() + seconds

    def look() -> int:
        line.beat()  # raising interrupts, too
        return int(time.monotonic() >= until)

    source.set_progress_handler(look, 1_000)


def _checkpoint(source: sqlite3.Connection) -> bool:
    """Whether the WAL, if there is one, was emptied: a reader of the agent's may keep it."""
    try:
        busy = source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        return False
    return not busy


def _told(error: sqlite3.Error, name: str, line: Line) -> Exception:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        line.tell({"alive": True})  # raises when it was asked to end
        return DatabaseBusyError(
            f"Vacuuming {name} took longer than it may keep the agent from writing, so it was ended and rolled back. "
            "Give it more time, or run it while the agent is stopped.",
        )
    return translated(error, name)
