"""Writing an archive's entries below an open folder.

``tarfile``'s own extraction is not used: its ``data`` filter can be escaped and knows no limits. Here each
name is created exclusively, in a folder that was opened step by step, following no link; links come last.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO

from backups.archive.errors import ArchiveUnsafeError
from backups.archive.rules import Entry, Inflated, Limits, Rules, damaged
from backups.archive.stores import Hooks
from backups.archive.tarreader import members
from backups.archive.tarwriter import CHUNK

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without setuid, setgid and sticky.
_MODE = 0o777
_MOST_ID = 2**32 - 2
#: What reading a damaged archive raises.
_BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError, ValueError)

Parts = tuple[str, ...]
Item = tuple[tarfile.TarFile, tarfile.TarInfo, Entry]


def scan(file: IO[bytes], name: str, limits: Limits, hooks: Hooks) -> Rules:
    """Look at the whole archive and write nothing. What it counted is in the answer."""
    rules = Rules(limits)
    for _ in _entries(file, name, limits, rules, hooks):
        pass
    if not rules.entries:
        raise damaged(name, "it is empty")
    return rules


def extract(file: IO[bytes], name: str, root: int, limits: Limits, hooks: Hooks) -> None:
    """Write the archive below the open, empty folder ``root``."""
    writer = _Writer(root)
    try:
        for tar, member, entry in _entries(file, name, limits, Rules(limits), hooks):
            writer.write(tar, member, entry)
        writer.finish()
    except FileExistsError as error:
        raise ArchiveUnsafeError(f"{error.filename!r} is there twice for this file system.") from error
    except _BROKEN as error:
        raise damaged(name, error) from error
    finally:
        writer.close()


def _entries(file: IO[bytes], name: str, limits: Limits, rules: Rules, hooks: Hooks) -> Iterator[Item]:
    file.seek(0, os.SEEK_END)
    compressed = file.tell()
    file.seek(0)
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as plain:
            stream = Inflated(plain, compressed, limits, hooks)
            for tar, member in members(stream):
                yield tar, member, rules.check(member)
            while stream.read(CHUNK):  # to the end: only there does gzip compare its own checksum
                pass
    except _BROKEN as error:
        raise damaged(name, error) from error


class _Writer:
    def __init__(self, root: int) -> None:
        self._root = root
        self._folders: list[tuple[Parts, tarfile.TarInfo]] = []
        self._symlinks: list[tuple[Parts, tarfile.TarInfo]] = []
        self._open: tuple[Parts, int] = ((), os.dup(root))

    def close(self) -> None:
        os.close(self._open[1])

    def write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry) -> None:
        if entry.kind == "folder":
            self._folder(entry.path)
            self._folders.append((entry.path, member))
        elif entry.kind == "symlink":
            self._symlinks.append((entry.path, member))
        elif entry.kind == "hardlink":
            self._hardlink(entry)
        else:
            self._file(tar, member, entry.path)

    def finish(self) -> None:
        """Links once all else is written; folders from the deepest, as a mode may bar the way down."""
        for path, member in self._symlinks:
            parent = self._folder(path[:-1])
            os.symlink(member.linkname, path[-1], dir_fd=parent)
            _own(path[-1], member, parent)
        for path, member in sorted(self._folders, key=lambda item: len(item[0]), reverse=True):
            _finish(self._folder(path), member)

    def _folder(self, path: Parts) -> int:
        """A descriptor of the folder, made when missing; kept open until another one is asked for."""
        if self._open[0] != path:
            descriptor = os.dup(self._root)
            for part in path:
                descriptor = _step(descriptor, part)
            os.close(self._open[1])
            self._open = (path, descriptor)
        return self._open[1]

    def _hardlink(self, entry: Entry) -> None:
        source = os.dup(self._folder(entry.target[:-1]))
        try:
            into = self._folder(entry.path[:-1])
            os.link(entry.target[-1], entry.path[-1], src_dir_fd=source, dst_dir_fd=into, follow_symlinks=False)
        finally:
            os.close(source)

    def _file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Parts) -> None:
        descriptor = os.open(path[-1], _NEW, 0o600, dir_fd=self._folder(path[:-1]))
        try:
            content = tar.extractfile(member)
            left = member.size
            while content and left:
                chunk = content.read(min(left, CHUNK))
                if not chunk:
                    raise tarfile.ReadError("unexpected end of data")
                left -= len(chunk)
                _put(descriptor, chunk)
            os.ftruncate(descriptor, member.size)  # a hole at the end has no byte that would make the length
            _finish(descriptor, member)
        finally:
            os.close(descriptor)


def _put(descriptor: int, chunk: bytes) -> None:
    """Zeros become holes: an agent's sparse database stays as small on disk as it was."""
    if len(chunk) == CHUNK and not chunk.strip(b"\0"):
        os.lseek(descriptor, len(chunk), os.SEEK_CUR)
        return
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def _step(descriptor: int, part: str) -> int:
    try:
        try:
            return os.open(part, _FOLDER, dir_fd=descriptor)
        except FileNotFoundError:
            os.mkdir(part, 0o700, dir_fd=descriptor)
            return os.open(part, _FOLDER, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _finish(descriptor: int, member: tarfile.TarInfo) -> None:
    """Owner before mode: a change of owner clears bits of the mode."""
    _own(descriptor, member)
    os.fchmod(descriptor, stat.S_IMODE(member.mode) & _MODE)
    seconds = max(0, min(int(member.mtime), _MOST_ID))
    os.utime(descriptor, (seconds, seconds))


def _own(what: int | str, member: tarfile.TarInfo, parent: int | None = None) -> None:
    """Only root may give files away, and only it has to: anyone else restores what is his own anyway."""
    if os.geteuid() == 0 and 0 <= member.uid <= _MOST_ID and 0 <= member.gid <= _MOST_ID:
        os.chown(what, member.uid, member.gid, dir_fd=parent, follow_symlinks=isinstance(what, int))
