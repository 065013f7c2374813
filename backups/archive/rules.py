"""What an archive may hold to be restored. It came from an agent, so it is hostile until it was looked at.

A whole archive is looked at before the first byte is written; writing looks again, entry by entry.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from typing import Literal

from backups.archive.errors import ArchiveDamagedError, ArchiveUnsafeError
from backups.archive.naming import TOP
from backups.archive.stores import Hooks, Readable
from backups.archive.tarreader import clean_path

Kind = Literal["folder", "file", "symlink", "hardlink"]
_KINDS: dict[bytes, Kind] = {
    tarfile.DIRTYPE: "folder",
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
}
_MOST_LEVELS = 400
_MOST_NAME_BYTES = 255
#: What Linux takes as a link's text.
_MOST_LINK = 4095
GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``size``: bytes after decompression; ``ratio``: those per compressed byte, once ``free`` were seen."""

    entries: int = 2_000_000
    size: int = 512 * GIB
    ratio: int = 250
    free: int = 64 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One checked entry; ``path`` and ``target`` are relative to the restored folder, ``()`` being itself."""

    kind: Kind
    path: tuple[str, ...]
    target: tuple[str, ...] = ()


class Rules:
    """Checks entries in the order in which they come."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: dict[tuple[str, ...], Kind | Literal["parent"]] = {}
        self.entries = 0
        self.size = 0

    def check(self, member: tarfile.TarInfo) -> Entry:
        """The entry, or ``ArchiveUnsafeError`` with what is wrong with it."""
        self.entries += 1
        if self.entries > self._limits.entries:
            raise ArchiveUnsafeError(f"The archive holds more than {self._limits.entries:,} entries.")
        kind = _KINDS.get(member.type)
        if kind is None:
            raise ArchiveUnsafeError(f"{member.name[:200]!r} is a device, a FIFO or of an unknown type.")
        entry = Entry(kind=kind, path=_inside(member.name), target=_target(kind, member))
        self._place(entry)
        self.size += member.size if kind == "file" else 0
        return entry

    def _place(self, entry: Entry) -> None:
        shown = "/".join(entry.path)[:200]
        if not entry.path and entry.kind != "folder":
            raise ArchiveUnsafeError(f"The archive's top, {TOP}, is not a folder.")
        for length in range(1, len(entry.path)):
            if self._seen.setdefault(entry.path[:length], "parent") not in {"parent", "folder"}:
                raise ArchiveUnsafeError(f"{shown!r} leads through a link or a file.")
        # A folder may be named after what lies in it; anything else twice is an attempt to replace it.
        allowed = {None, "parent"} if entry.kind == "folder" else {None}
        if self._seen.get(entry.path) not in allowed:
            raise ArchiveUnsafeError(f"{shown!r} is there twice.")
        if entry.kind == "hardlink" and self._seen.get(entry.target) not in {"file", "hardlink"}:
            raise ArchiveUnsafeError(f"{shown!r} is a hard link to something that is not a file before it.")
        self._seen[entry.path] = entry.kind


def _inside(name: str) -> tuple[str, ...]:
    top, *rest = clean_path(name).parts
    if top != TOP:
        raise ArchiveUnsafeError(f"{name[:200]!r} is not below {TOP}/: this is not an archive of a workspace.")
    if len(rest) > _MOST_LEVELS:
        raise ArchiveUnsafeError(f"{name[:80]!r}… lies more than {_MOST_LEVELS} folders deep.")
    if any(len(part.encode("utf-8", "surrogateescape")) > _MOST_NAME_BYTES for part in rest):
        raise ArchiveUnsafeError(f"{name[:80]!r}… has a name longer than {_MOST_NAME_BYTES} bytes.")
    return tuple(rest)


def _target(kind: Kind, member: tarfile.TarInfo) -> tuple[str, ...]:
    """A hard link's file. A symbolic link's text is kept as it is, wherever it points: nothing follows it."""
    if kind == "symlink":
        if not member.linkname or "\0" in member.linkname or len(member.linkname) > _MOST_LINK:
            raise ArchiveUnsafeError(f"{member.name[:200]!r} is a link to nothing that could be.")
        return ()
    return _inside(member.linkname) if kind == "hardlink" else ()


class Inflated:
    """The decompressed stream, cut off where it grows beyond the limits."""

    def __init__(self, stream: Readable, compressed: int, limits: Limits, hooks: Hooks) -> None:
        self._stream, self._hooks = stream, hooks
        self._most = min(limits.size, max(limits.free, compressed * limits.ratio))
        self._seen = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._seen += len(data)
        if self._seen > self._most:
            raise ArchiveUnsafeError(
                f"The archive decompresses to more than {self._most:,} bytes, far beyond what its size "
                "tells. If you trust it, raise the limits.",
            )
        self._hooks.on_chunk(self._seen, 0)
        return data

    def close(self) -> None:
        self._stream.close()


def damaged(name: str, reason: object) -> ArchiveDamagedError:
    return ArchiveDamagedError(
        f"The archive {name} is damaged ({reason}). Nothing was restored: take another one.",
    )
