"""Writing a compressed tar into any sink, with what is counted and noted on the way."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from backups.archive.stores import Hooks

CHUNK = 256 * 1024
_BLOCK = tarfile.BLOCKSIZE
#: 16 is zlib's flag for a gzip header, which carries no time: equal trees make equal bytes.
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_LEVEL = 6
#: Notes that are kept word for word; the rest is only counted.
_NOTES = 100


@dataclass
class Packed:
    """What went into an archive: its entries, and what is not as it was found on disk."""

    entries: int = 0
    read: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str, *, skipped: bool = False) -> None:
        self.skipped += skipped
        if len(self.notes) < _NOTES:
            self.notes.append(text)


class TarWriter:
    """Tar, gzip and SHA-256 in one pass. ``sha256`` and ``size`` are final after the ``with`` block."""

    def __init__(self, sink: Callable[[bytes], None], hooks: Hooks) -> None:
        self._sink, self._hooks = sink, hooks
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._digest = hashlib.sha256()
        self.size = 0
        self.packed = Packed()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, info: tarfile.TarInfo, content: Iterator[bytes] | None = None) -> None:
        """``content`` yields exactly ``info.size`` bytes."""
        info.uname = info.gname = ""  # the numbers say it; names of one host mean nothing on another
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        for chunk in content or ():
            self.packed.read += len(chunk)
            self._write(chunk)
        self._write(bytes(-info.size % _BLOCK) if info.isreg() else b"")
        self.packed.entries += 1

    def _write(self, data: bytes) -> None:
        self._out(self._gzip.compress(data))
        self._hooks.on_chunk(self.packed.read, self.size)

    def _out(self, data: bytes) -> None:
        if data:
            self._digest.update(data)
            self.size += len(data)
            self._sink(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._write(bytes(2 * _BLOCK))
            self._out(self._gzip.flush())
