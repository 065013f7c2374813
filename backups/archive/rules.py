"""What an archive may hold to be restored. It came from an agent, so it is hostile until it was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backups.archive.errors import ArchiveUnsafeError
from backups.archive.heads import Head, Kind

_MOST_LEVELS = 400
_MOST_NAME_BYTES = 255
#: What Linux takes as a link's text.
_MOST_LINK = 4095
GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``size``: bytes after decompression; ``ratio``: those per compressed byte, once ``free`` were seen.

    ``holes``: bytes that files have beyond those, which cost no room on a disk and time when they are read.
    """

    entries: int = 2_000_000
    size: int = 512 * GIB
    ratio: int = 250
    free: int = 64 * 1024**2
    holes: int = 64 * GIB


def trusting() -> Limits:
    """For an archive that is, by its SHA-256, the one that was made here: its size was seen then."""
    return Limits(entries=100_000_000, size=2**60, ratio=10_000, holes=2**60)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One checked entry; ``path`` and ``target`` are relative to the restored folder, ``()`` being itself."""

    kind: Kind
    path: tuple[str, ...]
    target: tuple[str, ...] = ()


class Rules:
    """Checks entries in the order in which they come. ``top``: the folder that all lie in, left off the paths."""

    def __init__(self, limits: Limits, top: str) -> None:
        self._limits, self._top = limits, top
        # By the hash of the path, whose seed is this process's own: a fifth of what the paths would take. Two that meet
        # (one in ten million for two million entries) are refused as one that is there twice.
        self._seen: dict[int, Kind | Literal["parent"]] = {}
        self._holes = self._implied = 0
        self.entries = 0
        self.size = 0

    def check(self, head: Head) -> Entry:
        """The entry, or ``ArchiveUnsafeError`` with what is wrong with it."""
        self.entries += 1
        if self.entries + self._implied > self._limits.entries:
            raise ArchiveUnsafeError(f"The archive holds more than {self._limits.entries:,} entries.")
        entry = Entry(kind=head.kind, path=self._inside(head.name), target=self._target(head))
        self._place(entry)
        self.size += head.stored
        self._holes += head.size - head.stored
        if self._holes > self._limits.holes:
            raise ArchiveUnsafeError(
                f"The archive holds files with more than {self._limits.holes:,} bytes of holes. If you trust it: "
                "--trust-size.",
            )
        return entry

    def _place(self, entry: Entry) -> None:
        shown = "/".join(entry.path)[:200]
        if not entry.path and entry.kind != "folder":
            raise ArchiveUnsafeError(f"The archive's top, {self._top or '.'}, is not a folder.")
        parent = entry.path[:-1]
        if self._seen.get(hash(parent)) != "folder":
            self._require_folders(entry.path, shown)
        # A folder may be named after what lies in it; anything else twice is an attempt to replace it.
        allowed = {None, "parent"} if entry.kind == "folder" else {None}
        if self._seen.get(hash(entry.path)) not in allowed:
            raise ArchiveUnsafeError(f"{shown!r} is there twice.")
        if entry.kind == "hardlink" and self._seen.get(hash(entry.target)) not in {"file", "hardlink"}:
            raise ArchiveUnsafeError(f"{shown!r} is a hard link to something that is not a file before it.")
        self._seen[hash(entry.path)] = entry.kind

    def _require_folders(self, path: tuple[str, ...], shown: str) -> None:
        for length in range(1, len(path)):
            way = hash(path[:length])
            if way not in self._seen:
                self._seen[way] = "parent"
                self._implied += 1
            if self._seen[way] not in {"parent", "folder"}:
                raise ArchiveUnsafeError(f"{shown!r} leads through a link or a file.")

    def _inside(self, name: str) -> tuple[str, ...]:
        parts = clean_path(name, may_be_top=True)
        if self._top:
            if parts[:1] != (self._top,):
                raise ArchiveUnsafeError(
                    f"{name[:200]!r} is not below {self._top}/: this is no archive of a workspace as Watchbill and the "
                    "`s3` command make them. Unpack it by hand: tar xzf.",
                )
            parts = parts[1:]
        if len(parts) > _MOST_LEVELS:
            raise ArchiveUnsafeError(f"{name[:80]!r}… lies more than {_MOST_LEVELS} folders deep.")
        if len(name) > _MOST_NAME_BYTES // 4 and any(_bytes(part) > _MOST_NAME_BYTES for part in parts):
            raise ArchiveUnsafeError(f"{name[:80]!r}… has a name longer than {_MOST_NAME_BYTES} bytes.")
        return parts

    def _target(self, head: Head) -> tuple[str, ...]:
        """A hard link's file. A symbolic link's text is kept as it is, wherever it points: nothing follows it."""
        if head.kind == "symlink" and (not head.link or "\0" in head.link or _bytes(head.link) > _MOST_LINK):
            raise ArchiveUnsafeError(f"{head.name[:200]!r} is a link to nothing that could be.")
        return self._inside(head.link) if head.kind == "hardlink" else ()


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def clean_path(name: str, *, may_be_top: bool = False) -> tuple[str, ...]:
    """An entry's path, or a refusal: absolute, upward and unprintable ones have no place below a folder."""
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if not name or "\0" in name or name[0] == "/" or ".." in parts or not (parts or may_be_top):
        raise ArchiveUnsafeError(f"The archive holds the name {name[:200]!r}, which leads out of its folder.")
    return parts
