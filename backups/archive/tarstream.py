"""Reading tar, whoever wrote it: our own parser, since what it must refuse is as important as what it takes.

It knows ustar, the extended headers of POSIX (pax), the long names of GNU tar, and sparse files in GNU's form 1.0,
which both GNU tar's and our own are. It holds one entry at a time; nothing in a header makes it read or keep more than
a mebibyte.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypedDict

from backups.archive.errors import ArchiveDamagedError, ArchiveUnsafeError
from backups.archive.heads import BLOCK, Extent, Head, Kind
from backups.archive.holes import MOST_EXTENTS

#: Long names and attributes are read into memory as a whole.
MOST_HEADER_BYTES = 1024 * 1024
_KINDS: dict[bytes, Kind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"5": "folder",
}
_ZEROS = bytes(BLOCK)
_ZERO_SUM = 8 * 32
_CHECKSUM = slice(148, 156)
_DECIMAL = 18
_USED = frozenset({b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"})
_SPARSE = b"GNU.sparse."
_LONGEST_NUMBER = 20
_MOST_RECORDS = 1000


class _Numbers(TypedDict):
    mode: int
    uid: int
    gid: int
    mtime: int


@dataclass(slots=True)
class _Extended:
    """What headers before an entry say about it."""

    name: bytes | None = None
    link: bytes | None = None
    records: dict[bytes, bytes] = field(default_factory=dict)


class TarStream:
    """Iterate over the heads; ``content`` yields the stored data of the last one, and may be left unread.

    ``piece`` gives the next bytes of the tar, some, and none at its end. Entries of other kinds than the four are
    refused, or with ``leave_out`` told to it and left out. Raises ``ArchiveDamagedError`` for what is no tar, or ends
    early, and ``ArchiveUnsafeError`` for what was made to do harm.
    """

    def __init__(self, piece: Callable[[], bytes], *, leave_out: Callable[[str], None] | None = None) -> None:
        self._piece, self._leave_out = piece, leave_out
        self._data = b""
        self._at = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Head]:
        while (block := self._block()) is not None:
            if (head := self._entry(block)) is not None:
                yield head

    def content(self) -> Iterator[bytes | memoryview]:
        while self._left:
            if self._at == len(self._data):
                self._data, self._at = self._more(), 0
            part = memoryview(self._data)[self._at : self._at + self._left]
            self._at += len(part)
            self._left -= len(part)
            yield part

    # -- entries

    def _entry(self, block: bytes) -> Head | None:
        """The next entry, from its first header block on; None for one that is left out."""
        extended = _Extended()
        while (kind := block[156:157]) in b"xgLKX" and kind:
            self._extend(extended, kind, self._header_body(block))
            following = self._block()
            if following is None:
                raise _damaged("it ends behind a header")
            block = following
        return self._head(block, kind, extended)

    def _extend(self, extended: _Extended, kind: bytes, body: bytes) -> None:
        if kind == b"L":
            extended.name = body.partition(b"\0")[0]
        elif kind == b"K":
            extended.link = body.partition(b"\0")[0]
        elif kind == b"g":
            _refuse_global(_records(body))
        else:
            extended.records = _records(body)  # not gathered: a chain of headers must not fill the memory

    def _head(self, block: bytes, kind: bytes, extended: _Extended) -> Head | None:
        records = extended.records
        name = os.fsdecode(records.get(b"path") or extended.name or _name(block))
        size = _decimal(records[b"size"]) if b"size" in records else _number(block[124:136])
        if size < 0:
            raise ArchiveUnsafeError("The archive holds an entry of negative size: it was made to do harm.")
        if kind == b"S" or _is_old_sparse(records):
            raise _sparse()
        if kind not in _KINDS:
            self._left, self._padding = size, -size % BLOCK
            self._other(name)
            return None
        what: Kind = "folder" if kind in b"0\0" and name.endswith("/") else _KINDS[kind]
        if what == "folder":
            name = name.rstrip("/") or name
        self._left = size if what == "file" else 0
        self._padding = -self._left % BLOCK
        number = _numbers(block, records)
        if b"GNU.sparse.major" in records and what == "file":
            return self._sparse_file(records, number)
        return Head(
            name=name,
            kind=what,
            size=self._left,
            link=os.fsdecode(records.get(b"linkpath") or extended.link or _text(block[157:257]))
            if what in {"symlink", "hardlink"}
            else "",
            **number,
        )

    def _other(self, name: str) -> None:
        if self._leave_out is None:
            raise ArchiveUnsafeError(f"{name[:200]!r} is a device, a FIFO or of an unknown type.")
        self._leave_out(name)

    def _sparse_file(self, records: dict[bytes, bytes], number: _Numbers) -> Head:
        real = _decimal(records.get(b"GNU.sparse.realsize", b""))
        name = os.fsdecode(records.get(b"GNU.sparse.name", b""))
        extents = self._map()
        end = 0
        for offset, length in extents:
            if offset < end or length < 0:
                raise ArchiveUnsafeError(f"{name[:200]!r} has holes that overlap: it was made to do harm.")
            end = offset + length
        if end > real or sum(length for _, length in extents) != self._left:
            raise ArchiveUnsafeError(f"{name[:200]!r} says of its holes what is not so: it was made to do harm.")
        return Head(name=name, kind="file", size=real, extents=extents, **number)

    def _map(self) -> tuple[Extent, ...]:
        """Decimal lines at the beginning of the data, filled up to whole blocks."""
        text, lines = b"", list[int]()

        def number() -> int:
            nonlocal text
            while b"\n" not in text:
                if len(text) > _LONGEST_NUMBER or self._left < BLOCK:
                    raise _damaged("the map of a sparse file can't be read")
                text += self._take(BLOCK)
                self._left -= BLOCK
            line, _, text = text.partition(b"\n")
            return _decimal(line)

        count = number()
        if count > MOST_EXTENTS:
            raise ArchiveUnsafeError(f"The archive holds a file of more than {MOST_EXTENTS:,} parts.")
        lines.extend(number() for _ in range(2 * count))
        self._padding = -self._left % BLOCK
        return tuple(zip(lines[::2], lines[1::2], strict=True))

    # -- blocks

    def _block(self) -> bytes | None:
        """The next header block; None at the archive's end, which is a block of zeros."""
        self._skip()
        block = self._take(BLOCK, or_nothing=True)
        if not block:
            raise _damaged("it ends without its last block")
        if block == _ZEROS:
            return None
        _check(block)
        return block

    def _header_body(self, block: bytes) -> bytes:
        size = _number(block[124:136])
        if size < 0:
            raise ArchiveUnsafeError("The archive holds an entry of negative size: it was made to do harm.")
        if size > MOST_HEADER_BYTES:
            raise ArchiveUnsafeError("The archive holds a name or attribute of more than 1 MiB.")
        body = self._take(size)
        self._take(-size % BLOCK)
        return body

    def _skip(self) -> None:
        """What was left unread of the last entry, and the rest of its last block."""
        for _ in self.content():
            pass
        if self._padding:
            self._take(self._padding)
            self._padding = 0

    def _take(self, size: int, *, or_nothing: bool = False) -> bytes:
        """Exactly so many bytes."""
        end = self._at + size
        if end <= len(self._data):
            taken = self._data[self._at : end]
            self._at = end
            return taken
        parts = [self._data[self._at :]]
        self._data, self._at = b"", 0
        left = size - len(parts[0])
        while left:
            piece = self._piece()
            if not piece:
                if or_nothing and left == size:
                    return b""
                raise _damaged("it ends in the middle of an entry")
            parts.append(piece[:left])
            if len(piece) > left:
                self._data, self._at = piece, left
            left -= len(parts[-1])
        return b"".join(parts)

    def _more(self) -> bytes:
        piece = self._piece()
        if not piece:
            raise _damaged("it ends in the middle of an entry")
        return piece


def _damaged(reason: str) -> ArchiveDamagedError:
    return ArchiveDamagedError(f"The archive is damaged: {reason}.")


def _sparse() -> ArchiveUnsafeError:
    return ArchiveUnsafeError(
        "The archive holds a sparse file in an old form of GNU tar's. Make it anew with --format=posix.",
    )


def _is_old_sparse(records: dict[bytes, bytes]) -> bool:
    if not any(key.startswith(_SPARSE) for key in records):
        return False
    return (records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")) != (b"1", b"0")


def _check(block: bytes) -> None:
    """Each header has the sum of its bytes, its own field counted as spaces."""
    wanted = _number(block[_CHECKSUM])
    if sum(block) - sum(block[_CHECKSUM]) + _ZERO_SUM != wanted:
        raise _damaged("a header's sum is wrong")


def _name(block: bytes) -> bytes:
    """With the prefix of ustar; GNU's own headers hold times where ustar has it."""
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _text(field_: bytes) -> bytes:
    return field_.partition(b"\0")[0]


def _number(field_: bytes) -> int:
    """Octal digits, or what GNU tar writes for numbers that these can't hold."""
    if field_[0] & 0x80:
        return int.from_bytes(field_[1:], "big") - (1 << 8 * (len(field_) - 1) if field_[0] == 0xFF else 0)  # noqa: PLR2004 - all bits set: negative
    try:
        return int(field_.strip(b" \0") or b"0", 8)
    except ValueError:
        raise _damaged("a header holds no number where one belongs") from None


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > _DECIMAL:
        raise _damaged("a header holds no number where one belongs")
    return int(text)


def _numbers(block: bytes, records: dict[bytes, bytes]) -> _Numbers:
    return {
        "mode": _number(block[100:108]) & 0o7777,
        "uid": _decimal(records[b"uid"]) if b"uid" in records else _number(block[108:116]),
        "gid": _decimal(records[b"gid"]) if b"gid" in records else _number(block[116:124]),
        "mtime": _seconds(records[b"mtime"]) if b"mtime" in records else _number(block[136:148]),
    }


def _seconds(text: bytes) -> int:
    """Whole seconds of a time with a fraction, rounded down."""
    whole, _, fraction = text.partition(b".")
    sign = -1 if whole.startswith(b"-") else 1
    seconds = sign * _decimal(whole.removeprefix(b"-"))
    return seconds - 1 if sign < 0 and fraction.strip(b"0") else seconds


def _records(body: bytes) -> dict[bytes, bytes]:
    """Each is ``LENGTH KEY=VALUE`` and a line feed."""
    found: dict[bytes, bytes] = {}
    at, end = 0, len(body.rstrip(b"\0"))
    while at < end:
        space = body.find(b" ", at, at + _LONGEST_NUMBER)
        length = _decimal(body[at:space]) if space > 0 else 0
        key, equals, value = body[space + 1 : at + length].partition(b"=")
        if not equals or not value.endswith(b"\n") or at + length > len(body):
            raise _damaged("an extended header can't be read")
        found[key] = value[:-1]
        if len(found) > _MOST_RECORDS:
            raise ArchiveUnsafeError("The archive holds an entry with more attributes than any has.")
        at += length
    if any(b"\0" in found.get(key, b"") for key in (b"path", b"linkpath", b"GNU.sparse.name")):
        raise ArchiveUnsafeError("The archive holds a name with a zero byte: it was made to do harm.")
    return found


def _refuse_global(records: dict[bytes, bytes]) -> None:
    """Comments are common there; a name for all entries is not."""
    if any(key in _USED or key.startswith(_SPARSE) for key in records):
        raise ArchiveUnsafeError("The archive has one name or size for all its entries: it was made to do harm.")
