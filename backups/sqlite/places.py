"""Reaching a file below a folder that its owner may be changing meanwhile, following no link."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

from backups.archive.errors import PlaceRefusedError
from backups.sqlite import header
from backups.sqlite.errors import (
    DatabaseMissingError,
    DatabaseSwappedError,
    DatabaseUnreadableError,
    NotADatabaseError,
)

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Not blocking: what became a FIFO a moment ago would wait for a writer for ever.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

Identity = tuple[int, int]
#: An open folder, or the path of one that is trusted.
Root = int | Path


def identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def open_root(root: Root) -> int:
    """A descriptor of one's own for ``root``; links in a path that the operator gave are followed."""
    if isinstance(root, int):
        return os.dup(root)
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _not_reached(str(root), error) from error


def open_parent(root: Root, relative: str) -> tuple[int, str]:
    """The open folder that holds ``relative``, and the name in it. Raises when a link is on the way."""
    *folders, name = _parts(relative)
    descriptor = open_root(root)
    for part in folders:
        try:
            below = os.open(part, FOLDER, dir_fd=descriptor)
        except OSError as error:
            raise _not_reached(relative, error) from error
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor, name


def _parts(relative: str) -> tuple[str, ...]:
    path = PurePosixPath(relative)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in relative:
        raise PlaceRefusedError(f"{relative[:200]!r} is not a path below the agent's folder: name it relative to that.")
    return path.parts


def _not_reached(shown: str, error: OSError) -> DatabaseMissingError | DatabaseUnreadableError:
    if error.errno in _ABSENT:
        return DatabaseMissingError(
            f"{shown} is not there, or a link is on the way to it, which is not followed. Check the path, and "
            "that its volume is mounted.",
        )
    return unreadable(shown, error)


def unreadable(shown: str, error: OSError) -> DatabaseUnreadableError:
    return DatabaseUnreadableError(
        f"{shown} cannot be read: {error.strerror or error}. Run the backup as a user who may read it, or change its "
        "mode.",
    )


def open_file(folder: int, name: str) -> int:
    try:
        return os.open(name, FILE, dir_fd=folder)
    except OSError as error:
        raise _not_reached(name, error) from error


def open_database(folder: int, name: str) -> tuple[int, header.Header]:
    """The regular file ``name``, open for reading, and its header. Raises when it isn't a database.

    Keep the descriptor until the work is done: it pins the inode, so that its number means this file.
    """
    descriptor = open_file(folder, name)
    try:
        return descriptor, _header(descriptor, name)
    except BaseException:
        os.close(descriptor)
        raise


def _header(descriptor: int, name: str) -> header.Header:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise NotADatabaseError(f"{name} is not a regular file, so it is no database. Choose another path.")
    try:
        found = header.read(descriptor)
    except OSError as error:
        raise unreadable(name, error) from error
    if found is None:
        raise not_a_database(name)
    return found


def not_a_database(name: str) -> NotADatabaseError:
    return NotADatabaseError(
        f"{name} does not begin as a SQLite database does: it is another kind of file, its first page is damaged, "
        "or it is encrypted (SQLCipher). Leave it to workspace.backup, which copies files as they are while the "
        "agent is stopped, or take a backup from before the damage.",
    )


def swapped(name: str) -> DatabaseSwappedError:
    return DatabaseSwappedError(
        f"{name} was replaced while it was being opened, so what SQLite had opened was not trusted and nothing was "
        "copied. Try again; if it happens each time, look at what the agent does to its folder.",
    )
