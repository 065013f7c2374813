"""SQLite's errors in the family's words."""

from __future__ import annotations

import sqlite3

from backups.archive.errors import ArchiveError, DiskFullError, EndedEarlyError
from backups.sqlite.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseUnreadableError,
    OtherWayError,
)
from backups.sqlite.places import not_a_database

#: What a primary code may hide, in its upper bytes.
_PRIMARY = 0xFF
#: A file that must be repaired or created before it can be read, which a reader does not do.
_UNFIT = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL})
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; -1 for what Python's module raises by itself."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & _PRIMARY if code >= 0 else code


def is_busy(error: sqlite3.Error) -> bool:
    return code_of(error) in _LOCKED


def is_damage(error: sqlite3.Error) -> bool:
    return code_of(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}


def translated(error: sqlite3.Error, name: str) -> ArchiveError:
    """The family's error for one of SQLite's, met while working on ``name``."""
    code = code_of(error)
    if code in _LOCKED:
        return busy(name)
    if code in _UNFIT:
        return OtherWayError(f"{name}: {error}")
    return _of_content(code, name, str(error)) or _of_work(code, name, str(error))


def _of_content(code: int, name: str, words: str) -> ArchiveError | None:
    if code == sqlite3.SQLITE_NOTADB:
        return not_a_database(name)
    return damaged(name, words) if code == sqlite3.SQLITE_CORRUPT else None


def _of_work(code: int, name: str, words: str) -> ArchiveError:
    if code == sqlite3.SQLITE_FULL:
        return DiskFullError(
            f"The disk became full while {name} was being worked on. The source is as it was: free some space, then "
            "try again.",
        )
    if code == sqlite3.SQLITE_INTERRUPT:
        return EndedEarlyError(f"The work on {name} was asked to end.")
    return DatabaseUnreadableError(f"{name}: SQLite answers {words[:300]!r}. Check its disk and its mode.")


def damaged(name: str, reason: str) -> DatabaseDamagedError:
    return DatabaseDamagedError(
        f"{name} is damaged ({reason[:200]}), so no copy of it would open. Restore the newest verified backup, or "
        "recover what is left of it into a new file.",
    )


def busy(name: str) -> DatabaseBusyError:
    return DatabaseBusyError(
        f"{name} stayed locked by another program for as long as was waited, so nothing was done to it. Try again when "
        "the agent is less busy, wait longer, or stop the agent meanwhile.",
    )
