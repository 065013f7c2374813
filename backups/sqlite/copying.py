"""One database as one file: online, consistent, and without leaving a trace in the agent's folder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backups.archive.errors import store_error
from backups.sqlite import header, isolated
from backups.sqlite.errors import DatabaseBusyError, DatabaseUnreadableError, OtherWayError
from backups.sqlite.isolated import Check, Progress, nothing
from backups.sqlite.places import Root, not_a_database, open_parent

_CHUNK = 1024**2
_COMPANIONS = ("", "-wal", "-shm", "-journal")
#: Seconds for which a locked database is waited for.
PATIENCE = 30.0
#: Changes between copying live and at rest, for a database that is just being opened or closed.
_MOST_TURNS = 6

Way = Literal["online", "locked", "at_rest"]


@dataclass(frozen=True, kw_only=True)
class Copied:
    """A copy that stands alone.

    ``journal_mode`` is the source's: the copy itself is never in WAL mode, a restore may put that back by
    ``PRAGMA journal_mode=WAL``. ``size`` in bytes, ``seconds`` in all, ``held`` those in which a snapshot or a lock
    was held; with ``way`` ``locked`` no writer of the source could commit meanwhile, with ``online`` its WAL grew.
    """

    pages: int
    size: int
    seconds: float
    held: float
    way: Way
    journal_mode: header.JournalMode
    user_version: int
    application_id: int
    sha256: str


def copy_database(
    root: Root,
    name: str,
    target: Path,
    *,
    on_progress: Progress = nothing,
    check: Check = nothing,
    patience: float = PATIENCE,
) -> Copied:
    """Copy the database ``name``, relative to ``root``, into the new file ``target``, mode 0600, synced to disk.

    ``on_progress(pages done, pages in all)``; ``check`` is called ten times a second and ends the work by
    raising. Whatever is raised, no target is left. Raises ``DatabaseMissingError``, ``NotADatabaseError``,
    ``DatabaseDamagedError``, ``DatabaseUnreadableError``, ``DatabaseBusyError``, ``DatabaseSwappedError``,
    ``WorkCrashedError``, ``DiskFullError``, ``StoreFailedError``. Should this process be killed, an unfinished target
    stays: let it lie in a folder of one's own that is emptied.
    """
    begun = time.monotonic()
    folder, base = open_parent(root, name)
    try:
        with new_file(target) as descriptor:
            answer = _copied(folder, base, target, on_progress=on_progress, check=check, patience=patience)
            return _finished(descriptor, name, answer, begun=begun, check=check)
    finally:
        os.close(folder)


@contextmanager
def new_file(target: Path) -> Iterator[int]:
    """An empty file of ours that goes again when the work fails."""
    try:
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise store_error(error, str(target.parent)) from error
    try:
        yield descriptor
    except BaseException as error:
        for suffix in _COMPANIONS:
            Path(f"{target}{suffix}").unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise store_error(error, str(target.parent)) from error
        raise
    finally:
        os.close(descriptor)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copied(
    folder: int,
    name: str,
    target: Path,
    *,
    on_progress: Progress,
    check: Check,
    patience: float,
) -> isolated.Answer:
    """Copy by the way that fits, and by the other one when it turns out that it doesn't."""
    until = time.monotonic() + patience
    request = {"folder": folder, "name": name, "target": str(target.absolute()), "way": ""}
    for _ in range(_MOST_TURNS):
        request["patience"] = max(0.0, until - time.monotonic())
        try:
            return isolated.run("copy", request, folders=(folder,), on_progress=on_progress, check=check)
        except OtherWayError as error:
            request["way"], _, problem = str(error).partition(" ")
            _start_over(target)
    raise _no_way(name, problem)


def _start_over(target: Path) -> None:
    os.truncate(target, 0)
    for suffix in _COMPANIONS[1:]:
        Path(f"{target}{suffix}").unlink(missing_ok=True)


def _no_way(name: str, problem: str) -> DatabaseBusyError | DatabaseUnreadableError:
    if "changed" in problem:
        return DatabaseBusyError(
            f"{name} changed in each of {_MOST_TURNS // 2} tries at copying it while it seemed to be at rest, and "
            "SQLite could not open it. Try again when the agent is less busy, or stop the agent meanwhile.",
        )
    return DatabaseUnreadableError(
        f"SQLite could not open {problem[:300]}. Check that the files beside it (-wal, -shm, -journal) are regular "
        "files that may be read by the user who runs the backup, and that its path is shorter than 500 bytes.",
    )


def _finished(
    descriptor: int,
    name: str,
    answer: isolated.Answer,
    *,
    begun: float,
    check: Check,
) -> Copied:
    copied = header.read(descriptor)
    if copied is None:
        raise not_a_database(name)
    size = os.fstat(descriptor).st_size
    if size and copied.journal_mode == "wal":
        header.leave_wal(descriptor)
    digest = _sha256(descriptor, check)
    os.fsync(descriptor)
    return Copied(
        pages=size // copied.page_size,
        size=size,
        seconds=time.monotonic() - begun,
        held=float(answer["held"]),
        way=answer["way"],
        journal_mode=answer["journal_mode"],
        user_version=copied.user_version,
        application_id=copied.application_id,
        sha256=digest,
    )


def _sha256(descriptor: int, check: Check) -> str:
    digest = hashlib.sha256()
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        check()
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()
