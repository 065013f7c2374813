"""Gzip by ISA-L where it is installed, several times as fast, else by Python's own zlib: the same format.

An agent's container, which has the ``s3`` command alone, needs no more than Python.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

try:
    from isal import isal_zlib as _fast
except ImportError:  # pragma: no cover - the container of an agent
    _zlib: Any = zlib
else:
    _zlib = _fast

#: 16 is zlib's flag for a gzip header, which carries no time: equal trees make equal bytes.
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_ZLIB_LEVEL, _ISAL_LEVEL = 6, 2


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def compressor() -> Compressor:
    """For one gzip member."""
    made: Compressor = _zlib.compressobj(_ZLIB_LEVEL if _zlib is zlib else _ISAL_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return made


def decompressor() -> Any:
    """For one gzip member; it checks the member's own checksum. As ``zlib.decompressobj`` has it."""
    return _zlib.decompressobj(_GZIP_WINDOW)


#: What a damaged member raises.
BROKEN: tuple[type[Exception], ...] = (zlib.error, _zlib.error, EOFError)
