"""Copying a database that nobody is writing to, without letting SQLite touch the agent's folder. Runs in the child.

For a database in WAL mode that is not open: any connection to it would create ``-shm`` and ``-wal`` in the
agent's folder, for another user's connection ones that the agent can't write to. And for one that was left
with a journal to be rolled back, which a reader doesn't do, and which may name any file of this machine as
its super-journal, to be *deleted* by whoever rolls back. So the files are copied as they are, SQLite's lock is
held meanwhile, and what a dead agent left is settled in the copy. Nothing may have changed in between.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from backups.sqlite.child import Line
from backups.sqlite.errors import DatabaseBusyError, OtherWayError
from backups.sqlite.places import FILE, open_database
from backups.sqlite.trouble import translated

#: https://www.sqlite.org/src: where SQLite's shared locks lie, and what a journal with a super-journal ends in.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
_SUPER_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_JOURNALS = ("-wal", "-journal")
_CHUNK = 8 * 1024**2
_NAP = 0.05
#: Seconds for which a file must have been left alone: a file system's clock ticks in steps, so a change just
#: after a look at the file could else bear the same time as one before it.
_AT_REST = 2.0

Seen = dict[str, tuple[int, ...] | None]
Told = Callable[[int, int], None]
Take = Callable[[int, int], None]


def copy_at_rest(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    """Fill the existing empty file ``target``, whatever lies beside the source being part of it."""
    folder, name, target = int(request["folder"]), str(request["name"]), Path(request["target"])
    until = time.monotonic() + float(request["patience"])
    pinned, head = open_database(folder, name)
    seen = _at_rest(folder, name, until, line)
    begun = time.monotonic()
    _lock(pinned, name, until, line)
    _take(folder, name, pinned, target, partial(take_bytes, page_size=head.page_size, progress=line.progress))
    if _look(folder, name) != seen:
        raise OtherWayError(f"{name} changed while it was being copied.")
    held = time.monotonic() - begun
    if any(seen[suffix] for suffix in _JOURNALS):
        _settle(target, name)
    return {"way": "at_rest", "held": held}


def _lock(pinned: int, name: str, until: float, line: Line) -> None:
    """SQLite's shared lock: nobody writes into the database's own file before this process ends."""
    while True:
        try:
            fcntl.lockf(pinned, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EAGAIN}:
                raise
            if time.monotonic() >= until:
                raise _busy(name) from error
        else:
            return
        line.beat()
        time.sleep(_NAP)


def _busy(name: str) -> DatabaseBusyError:
    return DatabaseBusyError(
        f"{name} stayed locked, or was changed again and again, for as long as was waited: nothing was copied. Try "
        "again when the agent is less busy, wait longer, or stop the agent meanwhile.",
    )


def _look(folder: int, name: str) -> Seen:
    return {suffix: _state(folder, f"{name}{suffix}") for suffix in ("", *_JOURNALS)}


def _state(folder: int, name: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _at_rest(folder: int, name: str, until: float, line: Line) -> Seen:
    """What is there once it has been left alone for a while."""
    while True:
        seen = _look(folder, name)
        newest = max(time_ns for state in seen.values() if state is not None for time_ns in state[3:])
        if abs(time.time() - newest / 1e9) >= _AT_REST:
            return seen
        if time.monotonic() >= until:
            raise _busy(name)
        line.beat()
        time.sleep(_NAP)


def _take(folder: int, name: str, pinned: int, target: Path, take: Take) -> None:
    for suffix in _JOURNALS:
        with suppress(FileNotFoundError):
            journal = os.open(f"{name}{suffix}", FILE, dir_fd=folder)
            _into(journal, Path(f"{target}{suffix}"), os.O_CREAT | os.O_EXCL, take)
    _into(pinned, target, 0, take)


def _into(source: int, target: Path, flags: int, take: Take) -> None:
    """Not closing ``source``: that would drop the lock."""
    output = os.open(target, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        take(source, output)
    finally:
        os.close(output)


def take_bytes(source: int, output: int, *, page_size: int, progress: Told) -> None:
    """The whole file as it is, by the kernel; ``progress`` in pages."""
    total = os.fstat(source).st_size
    done = 0
    while done < total:
        taken = _kernel_copy(source, output, min(_CHUNK, total - done), done)
        if not taken:
            break
        done += taken
        progress(done // page_size, total // page_size)


def _kernel_copy(source: int, output: int, size: int, offset: int) -> int:
    """Shares blocks where the file system can; between file systems that can't at all, by hand."""
    try:
        return os.copy_file_range(source, output, size, offset, offset)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise
    return os.pwrite(output, os.pread(source, size, offset), offset)


def _settle(target: Path, name: str) -> None:
    """Bring what a dead agent left in its journals into the copy itself, or out of it again."""
    if _has_super_journal(Path(f"{target}-journal")):
        raise _half_of_several(name)
    connection = sqlite3.connect(target, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA user_version").fetchone()  # rolls back what a journal tells
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise translated(error, name) from error
    finally:
        connection.close()
    for suffix in (*_JOURNALS, "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)


def _half_of_several(name: str) -> DatabaseBusyError:
    return DatabaseBusyError(
        f"{name} was left in the middle of a transaction over several databases, and which of them to roll back "
        "only the agent can tell. Start it once, so that it puts its databases in order, then try again.",
    )


def _has_super_journal(journal: Path) -> bool:
    try:
        return journal.read_bytes()[-len(_SUPER_JOURNAL) :] == _SUPER_JOURNAL
    except FileNotFoundError:
        return False
