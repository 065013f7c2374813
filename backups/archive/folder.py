"""Reading a folder that others may be changing meanwhile, some of them with bad intentions.

Every step goes through an open folder and never follows a link, so that nobody who swaps a folder for a link
in the middle makes us read somewhere else.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backups.archive.errors import PlaceRefusedError, SourceChangedError, SourceMissingError, SourceUnreadableError
from backups.archive.fingerprint import Fingerprint
from backups.archive.heads import Extent, Head, Kind
from backups.archive.holes import data_extents
from backups.archive.naming import TOP
from backups.archive.tarwriter import CHUNK, TarWriter

#: Each level holds one open file.
MOST_LEVELS = 400
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Not blocking: a file that became a FIFO a moment ago would wait for a writer for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Answers for a name that was there a moment ago, or is something else by now.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ESTALE})
#: What SQLite keeps beside a database that is open, or was when its program died; and how many of them are told of.
_OPEN_DATABASE, _MOST_TOLD = ("-wal", "-journal"), 3
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


def outermost(folder: Path, roots: Iterable[Path]) -> Path | None:
    """The outermost of the roots that a folder lies in, by its name and by where its links lead; None: in none.

    Of two roots within each other the inner one is its owner's to move: a link in its place would lead anywhere.
    """
    name = Path(os.path.normpath(folder))
    named = [root for root in roots if name.is_relative_to(os.path.normpath(root))]
    if not named:
        return None
    root = min(named, key=lambda each: len(each.parts))
    return root if folder.resolve().is_relative_to(root.resolve()) else None


def _descend(descriptor: int, parts: tuple[str, ...]) -> int:
    for part in parts:
        try:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What of a folder is archived, and where it stands in the archive.

    ``top`` is the archive's folder for it, empty for the archive's own top. ``paths``: only these of the folder, with
    the folders on the way to them; none means all. ``leave_out`` are paths below the folder.
    ``strict``: a file that changes or vanishes while it is read fails the backup; else it is noted.
    """

    top: str = TOP
    paths: tuple[str, ...] = ()
    leave_out: frozenset[str] = frozenset()
    strict: bool = False

    def has(self, name: str) -> bool:
        """Whether it is archived: it, or something below it."""
        if name in self.leave_out:
            return False
        return not self.paths or any(
            name == path or name.startswith(f"{path}/") or path.startswith(f"{name}/") for path in self.paths
        )


def pack_folder(descriptor: int, writer: TarWriter, scope: Scope | None = None) -> Fingerprint:
    """Archive the open folder, in an order that depends on its names only. Closes the descriptor."""
    walk = _Walk(writer, scope or Scope())
    walk.folder(descriptor, "", 0)
    return walk.fingerprint


def fingerprint_of(
    descriptor: int, scope: Scope | None = None, on_wait: Callable[[], None] = lambda: None
) -> Fingerprint:
    """That of the open folder, without reading a file. Closes the descriptor. Raises as ``pack_folder`` does."""
    scope, found = scope or Scope(), Fingerprint()

    def look(folder: int, name: str, level: int) -> None:
        on_wait()
        try:
            found.add(name, os.fstat(folder))
            for entry in _children(folder, name, level):
                child = _below(name, entry.name)
                if not scope.has(child):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    look(os.open(entry.name, _FOLDER, dir_fd=folder), child, level + 1)
                else:
                    found.add(child, entry.stat(follow_symlinks=False))
        except OSError as error:
            if error.errno not in _GONE:
                raise _unreadable(name, error) from error
            found.unsettled()
        finally:
            os.close(folder)

    look(descriptor, "", 0)
    return found


def _below(name: str, child: str) -> str:
    return f"{name}/{child}" if name else child


def _children(descriptor: int, name: str, level: int) -> Iterable[os.DirEntry[str]]:
    if level >= MOST_LEVELS:
        raise SourceUnreadableError(f"{name[:200]}… lies more than {MOST_LEVELS} folders deep: leave it out.")
    try:
        return sorted(os.scandir(descriptor), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise _unreadable(name, error) from error


class _Walk:
    """Names are relative to the folder here; ``_named`` gives those in the archive."""

    def __init__(self, writer: TarWriter, scope: Scope) -> None:
        self._writer, self._scope = writer, scope
        self._linked: dict[tuple[int, int], str] = {}
        self._databases = 0
        self.fingerprint = Fingerprint()

    def folder(self, descriptor: int, name: str, level: int) -> None:
        try:
            status = os.fstat(descriptor)
            self.fingerprint.add(name, status)
            if where := self._named(name):
                self._writer.add(_head(where, "folder", status))
            for entry in _children(descriptor, name, level):
                child = _below(name, entry.name)
                if self._scope.has(child):
                    self._child(descriptor, entry, child, level)
        finally:
            os.close(descriptor)

    def _named(self, name: str) -> str:
        top = self._scope.top
        return f"{top}/{name}" if top and name else top or name

    def _child(self, parent: int, entry: os.DirEntry[str], name: str, level: int) -> None:
        """Vanishing between listing and reading is everyday life in a folder that is in use."""
        try:
            if entry.is_dir(follow_symlinks=False):
                self.folder(os.open(entry.name, _FOLDER, dir_fd=parent), name, level + 1)
            elif entry.is_file(follow_symlinks=False):
                self._file(parent, entry.name, name)
            else:
                self._other(parent, entry.name, name)
        except OSError as error:
            if error.errno not in _GONE:
                raise _unreadable(name, error) from error
            self._moved(name, "vanished while being read", skipped=True)

    def _moved(self, name: str, what: str, *, skipped: bool = False) -> None:
        if self._scope.strict:
            raise SourceChangedError(
                f"{name} {what}. Nothing was published: pause what writes there, or allow changes (on_change: note).",
            )
        self.fingerprint.unsettled()
        self._writer.packed.note(f"{name}: {what}", skipped=skipped)

    def _other(self, parent: int, child: str, name: str) -> None:
        status = os.stat(child, dir_fd=parent, follow_symlinks=False)
        self.fingerprint.add(name, status)
        if stat.S_ISLNK(status.st_mode):
            self._writer.add(_head(self._named(name), "symlink", status, link=os.readlink(child, dir_fd=parent)))
        else:
            what = _SPECIAL.get(stat.S_IFMT(status.st_mode), "something else by now")
            self._writer.packed.note(f"{name}: {what}, left out", skipped=True)

    def _file(self, parent: int, child: str, name: str) -> None:
        descriptor = os.open(child, _FILE, dir_fd=parent)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                self._moved(name, "was replaced while being read", skipped=True)
                return
            self.fingerprint.add(name, status)
            if name.endswith(_OPEN_DATABASE):
                self._told_of(name)
            if status.st_nlink > 1 and (first := self._linked.get((status.st_dev, status.st_ino))) is not None:
                self._writer.add(_head(self._named(name), "hardlink", status, link=first))
            else:
                self._content(descriptor, name, status)
        finally:
            os.close(descriptor)

    def _told_of(self, name: str) -> None:
        self._databases += 1
        if self._databases <= _MOST_TOLD:
            self._writer.packed.remark(
                f"{name}: a database that may be open, so its copy here may be torn; database.backup copies it whole"
            )

    def _content(self, descriptor: int, name: str, status: os.stat_result) -> None:
        where = self._named(name)
        if status.st_nlink > 1:
            self._linked[status.st_dev, status.st_ino] = where
        extents = data_extents(descriptor, status)
        head = _head(where, "file", status, size=status.st_size, extents=extents)
        self._writer.add(head, _content(descriptor, name, head))
        after = os.fstat(descriptor)
        if _state(after) != _state(status):
            self._moved(name, "changed while being read")


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _content(descriptor: int, name: str, head: Head) -> Iterator[bytes]:
    """As many bytes as the header said: what grew is cut, what shrank is filled with zeros."""
    for offset, length in head.extents if head.extents is not None else ((0, head.size),):
        yield from _exactly(descriptor, name, offset, length)


def _exactly(descriptor: int, name: str, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        chunk = _read(descriptor, name, min(end - offset, CHUNK), offset) or bytes(min(end - offset, CHUNK))
        offset += len(chunk)
        yield chunk


def _read(descriptor: int, name: str, size: int, offset: int) -> bytes:
    """A failing disk is told apart from a failing store, which raises errors of its own."""
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        raise _unreadable(name, error) from error


def _head(
    name: str,
    kind: Kind,
    status: os.stat_result,
    *,
    size: int = 0,
    link: str = "",
    extents: tuple[Extent, ...] | None = None,
) -> Head:
    return Head(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=size,
        mtime=status.st_mtime_ns // 10**9,  # whole seconds, as tar has them; a fraction costs 1 KiB a file
        link=link,
        extents=extents,
    )


def _unreadable(name: str, error: OSError) -> SourceUnreadableError:
    return SourceUnreadableError(
        f"{name} cannot be read: {error.strerror or error}. An archive without it would not be whole, so "
        "none was made: run the backup as a user who may read it, or change its mode.",
    )
