"""Making sure, in the child, that SQLite opens the file that was looked at and nothing else.

SQLite resolves a path to its real one and opens that by name, so that whoever swaps a folder or a name in
between leads it elsewhere. As root the child locks itself into the database's folder and becomes the
database's owner, so that there is nowhere else to be led to, and so that what SQLite creates there belongs
to the agent. As anyone else, and on top of that, each file that SQLite opened is compared with what lies in
the open folder; the child has one thread, so a new descriptor is SQLite's.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from urllib.parse import quote

from backups.sqlite.places import Identity, identity, swapped

#: More than a child ever has open.
_MOST_DESCRIPTORS = 256
COMPANIONS = ("", "-wal", "-shm", "-journal")


def confine(folder: int, owner: os.stat_result) -> str:
    """Lock this process into the open ``folder`` where it may. Answers the folder's path for SQLite.

    No path from before means anything afterwards: import and open what is needed first.
    """
    if os.geteuid() == 0:
        try:
            os.fchdir(folder)
            os.chroot(".")
        except PermissionError:  # root without the capability: the comparison below has to do
            return f"/proc/self/fd/{folder}"
        _become(owner.st_uid, owner.st_gid)
        return ""
    return f"/proc/self/fd/{folder}"


def _become(user: int, group: int) -> None:
    try:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    except PermissionError:  # SQLite, as root, gives what it creates to the database's owner
        return


def uri(place: str, name: str, options: str) -> str:
    return f"file:{quote(os.fsencode(f'{place}/{name}'))}?{options}"


class Descriptors:
    """What this process has open; ask :meth:`prove` after SQLite opened something."""

    def __init__(self, folder: int, name: str, pinned: int) -> None:
        self._folder, self._name = folder, name
        self._pinned = identity(os.fstat(pinned))
        self._before = _open()

    def prove(self) -> int:
        """SQLite's own descriptor of the database; raises ``DatabaseSwappedError`` when a file isn't one of its."""
        opened = {number: _regular(number) for number in _open() - self._before}
        allowed = {found for suffix in COMPANIONS if (found := self._beside(suffix)) is not None}
        main = [number for number, found in opened.items() if found == self._pinned]
        if not main or self._pinned not in allowed or not set(opened.values()) <= allowed:
            raise swapped(self._name)
        return main[0]

    def _beside(self, suffix: str) -> Identity | None:
        try:
            status = os.stat(f"{self._name}{suffix}", dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return None
        return identity(status) if stat.S_ISREG(status.st_mode) else None


def _open() -> set[int]:
    return {number for number in range(_MOST_DESCRIPTORS) if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _regular(number: int) -> Identity | None:
    status = os.fstat(number)
    return identity(status) if stat.S_ISREG(status.st_mode) else None


def connect(address: str) -> sqlite3.Connection:
    """A connection that never waits by itself and starts no transaction of its own, for a schema nobody trusts."""
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=0)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA temp_store=MEMORY")
    return connection
