"""Writing an archive's entries below an open folder.

``tarfile``'s own extraction is not used: its ``data`` filter can be escaped and knows no limits. Here each
name is created exclusively, in a folder that was opened step by step, following no link; links come last.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from backups.archive.errors import ArchiveUnsafeError, DiskFullError
from backups.archive.heads import Head
from backups.archive.reading import Reading
from backups.archive.rules import Entry

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without setuid, setgid and sticky.
_MODE = 0o777
_MOST_ID = 2**32 - 2
#: Bytes written between two looks at the disk, and what must stay free on it.
_LOOK_EVERY = 32 * 1024**2
_RESERVE = 64 * 1024**2

Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is written, and how.

    ``paths``: these and what lies below them; none means all. ``whole``: the archive is the whole folder; else each of
    its files takes the place of the one in the folder, and what else is there stays.
    ``left``: what the folder keeps of its own: neither these nor what lies below them is written.
    ``renamed``: the path under which an entry is written. ``owner``: (uid, gid) for everything, instead of the
    archive's. ``modes``: (folders, files), likewise. ``found`` is filled with the chosen paths that were there.
    """

    paths: tuple[Parts, ...] = ()
    whole: bool = True
    renamed: Callable[[Parts], Parts] = lambda path: path
    owner: tuple[int, int] | None = None
    modes: tuple[int, int] | None = None
    left: tuple[Parts, ...] = ()
    found: set[Parts] = field(default_factory=set)
    #: How many entries were written, and how many bytes of files.
    written: list[int] = field(default_factory=lambda: [0, 0])
    #: Files that are written only since a chosen path is a hard link to them.
    sources: set[Parts] = field(default_factory=set)

    def __post_init__(self) -> None:
        """A path below another chosen one adds nothing."""
        outer = [path for path in self.paths if not any(path[:length] in self.paths for length in range(len(path)))]
        object.__setattr__(self, "paths", tuple(dict.fromkeys(outer)))

    def is_chosen(self, path: Parts) -> bool:
        """It, or a folder that it lies in; without a choice all is."""
        return not self.paths or any(path[: len(chosen)] == chosen for chosen in self.paths)

    def has(self, path: Parts, *, is_folder: bool) -> bool:
        """Whether to write it. Folders on the way to a chosen path are, for their modes."""
        if any(path[: len(left)] == left for left in self.left):
            return False
        if not self.paths:
            if not self.whole and path and not is_folder:
                self.found.add(path)
            return bool(path) or self.whole
        for chosen in self.paths:
            if path[: len(chosen)] == chosen:
                self.found.add(chosen)
                return True
        ways = (*self.paths, *self.sources)
        return path in self.sources or (is_folder and any(chosen[: len(path)] == path for chosen in ways))


class LinkSourcesMissing(Exception):
    """A chosen path is a hard link to a file that is not chosen: ``Wanted.sources`` knows it now, so read once more."""


def extract(reading: Reading, root: int, wanted: Wanted | None = None) -> None:
    """Write what is wanted below the open, empty folder ``root``. Raises :class:`LinkSourcesMissing`."""
    wanted = wanted or Wanted()
    known = set(wanted.sources)
    wanted.written[:] = [0, 0]
    writer = _Writer(root, wanted)
    try:
        for head, entry in reading:
            path = wanted.renamed(entry.path)
            if wanted.has(path, is_folder=entry.kind == "folder"):
                renamed = Entry(kind=entry.kind, path=path, target=wanted.renamed(entry.target))
                writer.write(head, renamed, reading)
                # Folders on the way to a chosen path are a means.
                wanted.written[0] += wanted.is_chosen(path)
                wanted.written[1] += head.stored
        if wanted.sources - known:
            raise LinkSourcesMissing
        writer.finish()
    except FileExistsError as error:
        raise ArchiveUnsafeError(f"{error.filename!r} is there twice for this file system.") from error
    finally:
        writer.close()


class _Writer:
    def __init__(self, root: int, wanted: Wanted) -> None:
        self._root, self._wanted = root, wanted
        self._folders: list[tuple[Parts, Head]] = []
        self._symlinks: list[tuple[Parts, Head]] = []
        self._unlooked = 0
        self._own_ids = (os.geteuid(), os.getegid())
        self._path: Parts = ()
        self._open = [os.dup(root)]

    def close(self) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    def write(self, head: Head, entry: Entry, reading: Reading) -> None:
        if entry.kind == "folder":
            self._folder(entry.path)
            self._folders.append((entry.path, head))
        elif entry.kind == "symlink":
            self._symlinks.append((entry.path, head))
        elif entry.kind == "hardlink":
            self._hardlink(entry)
        else:
            self._file(head, entry.path, reading.content())

    def finish(self) -> None:
        """Links once all else is written; a folder after what lies in it, as its mode may bar the way down."""
        for path, head in self._symlinks:
            parent = self._folder(path[:-1])
            os.symlink(head.link, path[-1], dir_fd=parent)
            if (owner := self._owner(head)) is not None:
                os.chown(path[-1], *owner, dir_fd=parent, follow_symlinks=False)
        for path, head in sorted(self._folders, key=lambda item: item[0], reverse=True):
            self._settle(self._folder(path), head)

    def _folder(self, path: Parts) -> int:
        """A descriptor of the folder, made when missing. Those on the way to it stay open: the next one is near."""
        while self._path != path[: len(self._path)]:
            os.close(self._open.pop())
            self._path = self._path[:-1]
        for part in path[len(self._path) :]:
            self._open.append(_step(self._open[-1], part))
            self._path += (part,)
        return self._open[-1]

    def _hardlink(self, entry: Entry) -> None:
        source = os.dup(self._folder(entry.target[:-1]))
        try:
            into = self._folder(entry.path[:-1])
            os.link(entry.target[-1], entry.path[-1], src_dir_fd=source, dst_dir_fd=into, follow_symlinks=False)
        except FileNotFoundError:
            self._wanted.sources.add(entry.target)
        finally:
            os.close(source)

    def _file(self, head: Head, path: Parts, content: Iterable[bytes | memoryview]) -> None:
        descriptor = os.open(path[-1], _NEW, 0o600, dir_fd=self._folder(path[:-1]))
        try:
            self._require_room(head)
            if head.extents is None:
                for part in content:
                    _put(descriptor, part)
            else:
                _put_between_holes(descriptor, head, content)
            self._settle(descriptor, head)
        finally:
            os.close(descriptor)

    def _require_room(self, head: Head) -> None:
        """An archive may hold more than it told: it must not fill the disk that others live on."""
        self._unlooked += head.stored
        if self._unlooked < _LOOK_EVERY:
            return
        self._unlooked = 0
        free = shutil.disk_usage(self._root).free
        if free - head.stored < _RESERVE:
            raise DiskFullError(
                f"The disk has {free:,} bytes left and {head.name[:200]!r} needs {head.stored:,}; {_RESERVE:,} stay "
                "free. Nothing was restored: free some space, or restore to another disk.",
            )

    def _settle(self, descriptor: int, head: Head) -> None:
        """Owner before mode: a change of owner clears bits of the mode."""
        if (owner := self._owner(head)) is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, self._mode(head))
        seconds = max(0, min(head.mtime, _MOST_ID))
        os.utime(descriptor, (seconds, seconds))

    def _owner(self, head: Head) -> tuple[int, int] | None:
        """Only root may give files away, and only it has to: anyone else restores what is his own anyway."""
        owner = self._wanted.owner or (head.uid, head.gid)
        if owner == self._own_ids or (self._own_ids[0] != 0 and not self._wanted.owner):
            return None
        return owner if all(0 <= number <= _MOST_ID for number in owner) else None

    def _mode(self, head: Head) -> int:
        if self._wanted.modes is None:
            return head.mode & _MODE
        return self._wanted.modes[0 if head.kind == "folder" else 1]


def _put(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _put_between_holes(descriptor: int, head: Head, content: Iterable[bytes | memoryview]) -> None:
    """A hole is a place that nobody writes to: the file stays as small on disk as it was."""
    os.ftruncate(descriptor, head.size)
    extents = iter(head.extents or ())
    left = 0
    for part in content:
        view = memoryview(part)
        while view:
            if not left:
                offset, left = next(extents)
                os.lseek(descriptor, offset, os.SEEK_SET)
            written = os.write(descriptor, view[:left])
            view, left = view[written:], left - written


def _step(descriptor: int, part: str) -> int:
    try:
        return os.open(part, _FOLDER, dir_fd=descriptor)
    except FileNotFoundError:
        os.mkdir(part, 0o700, dir_fd=descriptor)
        return os.open(part, _FOLDER, dir_fd=descriptor)
