"""Copying a database that others may be writing to. Runs in the child.

In WAL mode by SQLite's backup inside of an open read transaction: its snapshot lets the agent write on, where
a backup without one begins anew at each of the agent's writes, for ever. With a rollback journal a reader
keeps writers from committing, whatever it reads, so the file's bytes are taken in one go, by the kernel, under
SQLite's shared lock: that is the shortest way to be through.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from backups.sqlite.child import Line
from backups.sqlite.confine import Descriptors, confine, connect, uri
from backups.sqlite.header import Header
from backups.sqlite.places import open_database, swapped
from backups.sqlite.restcopy import take_bytes
from backups.sqlite.trouble import is_busy, translated

_PAGES = 1000
#: Seconds between two tries at a locked database.
_NAP = 0.01


def copy_live(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    """Fill the existing empty file ``target``. Answers how, and the seconds for which a writer may have waited."""
    folder, name = int(request["folder"]), str(request["name"])
    pinned, head = open_database(folder, name)
    # Before this process is locked in: afterwards the target could not be reached.
    output = os.open(request["target"], os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    copy = _target(str(request["target"]))
    place = confine(folder, os.fstat(pinned))
    opened = Descriptors(folder, name, pinned)
    try:
        source = _open(place, name, pinned, readonly_shm=_must_not_create(pinned))
        _begin(source, until=time.monotonic() + float(request["patience"]), line=line)
        begun = time.monotonic()
        database = opened.prove()
        _copy(source, copy, head, database=database, output=output, line=line)
        held = time.monotonic() - begun
        source.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise translated(error, name) from error
    return {"way": "online" if head.journal_mode == "wal" else "locked", "held": held}


def _target(path: str) -> sqlite3.Connection:
    """No journal and no syncs: the parent removes a file that is not whole, and syncs one that is."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    return connection


def _must_not_create(pinned: int) -> bool:
    """Whether a ``-shm`` of ours would be one that the agent can't write to."""
    return os.geteuid() not in {0, os.fstat(pinned).st_uid}


def _open(place: str, name: str, pinned: int, *, readonly_shm: bool) -> sqlite3.Connection:
    """Read-only: such a connection never rolls back, checkpoints or removes anything of the agent's."""
    if os.fstat(pinned).st_nlink == 0:
        raise swapped(name)
    return connect(uri(place, name, "mode=ro&readonly_shm=1" if readonly_shm else "mode=ro"))


def _begin(source: sqlite3.Connection, *, until: float, line: Line) -> None:
    """Take the snapshot, or the shared lock. By a pragma that reads no schema: that may be damaged or hostile."""
    while True:
        try:
            source.execute("BEGIN")
            source.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            if source.in_transaction:
                source.execute("ROLLBACK")
            if not is_busy(error) or time.monotonic() >= until:
                raise
        else:
            return
        line.beat()
        time.sleep(_NAP)


def _copy(
    source: sqlite3.Connection,
    copy: sqlite3.Connection,
    head: Header,
    *,
    database: int,
    output: int,
    line: Line,
) -> None:
    if head.journal_mode == "wal":
        source.backup(copy, pages=_PAGES, progress=lambda _status, left, total: line.progress(total - left, total))
        return
    take_bytes(database, output, page_size=head.page_size, progress=line.progress)
