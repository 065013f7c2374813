"""The headers of tar: what an archive says about each of its entries, and how that is written.

POSIX ustar where it suffices, extended (pax) headers where it does not: names over 100 bytes, large numbers, and
holes, which are kept in the form that GNU tar calls "sparse 1.0".
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

BLOCK = 512
Kind = Literal["folder", "file", "symlink", "hardlink"]
TYPES: dict[Kind, bytes] = {"file": b"0", "hardlink": b"1", "symlink": b"2", "folder": b"5"}

_MOST_NAME = 100
_MOST_ID = 0o7777777
_MOST_NUMBER = 0o77777777777
#: Where a program that knows no sparse files unpacks the map and the data of one.
_SPARSE_FOLDER = b"GNUSparseFile.0"
_TEMPLATE = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0%s%s%sustar\x0000"
_TAIL = bytes(BLOCK - 265)
_NO_SUM = b" " * 8

#: A part of a file that holds data: its offset and its length. Between two parts lies a hole.
Extent = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One entry. ``size`` is the length of the file, holes included; ``mtime`` is in whole seconds.

    ``extents`` is None for a file without holes. ``link`` is the text of a symbolic link, or the name of the entry
    that a hard link shares its file with.
    """

    name: str
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: str = ""
    extents: tuple[Extent, ...] | None = None

    @property
    def stored(self) -> int:
        """Bytes of the file that the archive holds: all but its holes."""
        if self.extents is None:
            return self.size
        return sum(length for _, length in self.extents)


def padding(size: int) -> bytes:
    """What fills the last block of ``size`` bytes."""
    return bytes(-size % BLOCK)


def encode(head: Head) -> bytes:
    """The blocks before an entry's data."""
    name, link = os.fsencode(head.name), os.fsencode(head.link)
    if head.kind == "folder":
        name += b"/"
    if head.extents is not None:
        return _sparse(head, name)
    return _with_pax({}, head, name, link, head.size)


def _sparse(head: Head, name: bytes) -> bytes:
    """The data of a sparse file begins with the map of its parts, in decimal lines."""
    extents = head.extents or ()
    numbers = [len(extents), *(number for extent in extents for number in extent)]
    parts = b"".join(b"%d\n" % number for number in numbers)
    parts += padding(len(parts))
    records = {
        b"GNU.sparse.major": b"1",
        b"GNU.sparse.minor": b"0",
        b"GNU.sparse.name": name,
        b"GNU.sparse.realsize": b"%d" % head.size,
    }
    folder, _, last = name.rpartition(b"/")
    stand_in = b"/".join(part for part in (folder, _SPARSE_FOLDER, last) if part)
    return _with_pax(records, head, stand_in, b"", len(parts) + head.stored) + parts


def _with_pax(records: dict[bytes, bytes], head: Head, name: bytes, link: bytes, size: int) -> bytes:
    if len(name) > _MOST_NAME:
        records[b"path"] = name
    if len(link) > _MOST_NAME:
        records[b"linkpath"] = link
    numbers = {b"uid": head.uid, b"gid": head.gid, b"size": size, b"mtime": head.mtime}
    kept = {key: _fitting(key, value, records) for key, value in numbers.items()}
    block = _block(name, link, TYPES[head.kind], head.mode, kept)
    return _pax(records) + block if records else block


def _fitting(key: bytes, value: int, records: dict[bytes, bytes]) -> int:
    """The number where its field can hold it; else zero, and the number in the extended header."""
    most = _MOST_ID if key in {b"uid", b"gid"} else _MOST_NUMBER
    if 0 <= value <= most:
        return value
    records[key] = b"%d" % value
    return 0


def _pax(records: dict[bytes, bytes]) -> bytes:
    body = b"".join(_record(key, value) for key, value in records.items())
    numbers = {b"uid": 0, b"gid": 0, b"size": len(body), b"mtime": 0}
    return _block(b"././@PaxHeader", b"", b"x", 0o644, numbers) + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE`` and a line feed; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(name: bytes, link: bytes, kind: bytes, mode: int, numbers: dict[bytes, int]) -> bytes:
    values = (
        name[:_MOST_NAME].ljust(_MOST_NAME, b"\0"),
        mode,
        numbers[b"uid"],
        numbers[b"gid"],
        numbers[b"size"],
        numbers[b"mtime"],
        _NO_SUM,
        kind,
        link[:_MOST_NAME].ljust(_MOST_NAME, b"\0"),
    )
    plain = _TEMPLATE % values
    return b"%s%06o\0 %s%s" % (plain[:148], sum(plain), plain[156:], _TAIL)
