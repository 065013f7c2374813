"""Reading a folder that others may be changing meanwhile, some of them with bad intentions.

Every step goes through an open folder and never follows a link, so that nobody who swaps a folder for a link
in the middle makes us read somewhere else.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from backups.archive.errors import PlaceRefusedError, SourceMissingError, SourceUnreadableError
from backups.archive.naming import TOP
from backups.archive.tarwriter import CHUNK, TarWriter

#: Each level holds one open file.
MOST_LEVELS = 400
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Not blocking: a file that became a FIFO a moment ago would wait for a writer for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Answers for a name that was there a moment ago, or is something else by now.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ESTALE})
_SPECIAL = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_folder(folder: Path, *, beneath: Path | None = None) -> int:
    """A descriptor of ``folder``; with ``beneath``, one that is that folder or lies in it, links resolved."""
    root = (beneath or folder).resolve()
    target = folder.resolve()
    if not target.is_relative_to(root):
        raise PlaceRefusedError(f"{folder} is not inside of {beneath}. Name a folder in it.")
    try:
        return _descend(os.open(root, _FOLDER), target.relative_to(root).parts)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceMissingError(
            f"The folder {folder} does not exist here, so there is nothing to archive. "
            "Check the path, and that its volume is mounted.",
        ) from error
    except OSError as error:
        raise _unreadable(str(folder), error) from error


def _descend(descriptor: int, parts: tuple[str, ...]) -> int:
    for part in parts:
        try:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def pack_folder(descriptor: int, writer: TarWriter) -> None:
    """Archive the open folder, in an order that depends on its names only. Closes the descriptor."""
    _Walk(writer).folder(descriptor, TOP, 0)


class _Walk:
    def __init__(self, writer: TarWriter) -> None:
        self._writer = writer
        self._linked: dict[tuple[int, int], str] = {}

    def folder(self, descriptor: int, name: str, level: int) -> None:
        try:
            self._writer.add(_info(name, os.fstat(descriptor), tarfile.DIRTYPE))
            for child in self._children(descriptor, name, level):
                self._child(descriptor, child, f"{name}/{child}", level)
        finally:
            os.close(descriptor)

    def _children(self, descriptor: int, name: str, level: int) -> list[str]:
        if level >= MOST_LEVELS:
            raise SourceUnreadableError(f"{name[:200]}… lies more than {MOST_LEVELS} folders deep: leave it out.")
        try:
            return sorted(os.listdir(descriptor), key=os.fsencode)
        except OSError as error:
            raise _unreadable(name, error) from error

    def _child(self, parent: int, child: str, name: str, level: int) -> None:
        """Vanishing between listing and reading is everyday life in a folder that is in use."""
        try:
            status = os.stat(child, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self.folder(os.open(child, _FOLDER, dir_fd=parent), name, level + 1)
            elif stat.S_ISLNK(status.st_mode):
                self._symlink(parent, child, name, status)
            elif stat.S_ISREG(status.st_mode):
                self._file(parent, child, name)
            else:
                self._writer.packed.note(f"{name}: {_SPECIAL[stat.S_IFMT(status.st_mode)]}, left out", skipped=True)
        except OSError as error:
            if error.errno in _GONE:
                self._writer.packed.note(f"{name}: vanished while being read", skipped=True)
                return
            raise _unreadable(name, error) from error

    def _symlink(self, parent: int, child: str, name: str, status: os.stat_result) -> None:
        info = _info(name, status, tarfile.SYMTYPE)
        info.linkname = os.readlink(child, dir_fd=parent)
        self._writer.add(info)

    def _file(self, parent: int, child: str, name: str) -> None:
        descriptor = os.open(child, _FILE, dir_fd=parent)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                self._writer.packed.note(f"{name}: was replaced while being read", skipped=True)
            elif (first := self._linked.get((status.st_dev, status.st_ino))) is not None:
                self._hardlink(name, first, status)
            else:
                self._content(descriptor, name, status)
        finally:
            os.close(descriptor)

    def _hardlink(self, name: str, first: str, status: os.stat_result) -> None:
        info = _info(name, status, tarfile.LNKTYPE)
        info.linkname = first
        self._writer.add(info)

    def _content(self, descriptor: int, name: str, status: os.stat_result) -> None:
        if status.st_nlink > 1:
            self._linked[status.st_dev, status.st_ino] = name
        info = _info(name, status, tarfile.REGTYPE)
        info.size = status.st_size
        self._writer.add(info, self._exactly(descriptor, name, status.st_size))
        after = os.fstat(descriptor)
        if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            self._writer.packed.note(f"{name}: changed while being read")

    def _exactly(self, descriptor: int, name: str, size: int) -> Iterator[bytes]:
        """As many bytes as the header said: what grew is cut, what shrank is filled with zeros."""
        left = size
        while left and (chunk := _read(descriptor, name, min(left, CHUNK))):
            left -= len(chunk)
            yield chunk
        while left:
            filler = bytes(min(left, CHUNK))
            left -= len(filler)
            yield filler


def _read(descriptor: int, name: str, size: int) -> bytes:
    """A failing disk is told apart from a failing store, which raises errors of its own."""
    try:
        return os.read(descriptor, size)
    except OSError as error:
        raise _unreadable(name, error) from error


def _info(name: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid = status.st_uid, status.st_gid
    info.mtime = status.st_mtime_ns // 10**9  # whole seconds, as tar has them; a fraction costs 1 KiB a file
    return info


def _unreadable(name: str, error: OSError) -> SourceUnreadableError:
    return SourceUnreadableError(
        f"{name} cannot be read: {error.strerror or error}. An archive without it would not be whole, so "
        "none was made: run the backup as a user who may read it, or change its mode.",
    )
