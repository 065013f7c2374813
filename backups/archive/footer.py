"""The end of an archive: an empty gzip member, whose header says where the member with the manifest begins.

A gzip header has room for such notes (RFC 1952, "extra field"), and a reader that does not know ours skips it.
"""

from __future__ import annotations

import re
import struct

_HEADER = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"
_NOTE = b"WB"
_DIGITS = 16
#: An empty deflate block, the checksum and the length of nothing.
_EMPTY = b"\x03\0" + bytes(8)
_EXTRA = struct.pack("<H", len(_NOTE) + 2 + _DIGITS) + _NOTE + struct.pack("<H", _DIGITS)
SIZE = len(_HEADER) + len(_EXTRA) + _DIGITS + len(_EMPTY)
_SHAPE = re.compile(re.escape(_HEADER + _EXTRA) + rb"([0-9a-f]{16})" + re.escape(_EMPTY), re.DOTALL)


def footer(manifest_at: int) -> bytes:
    """The last bytes of an archive whose manifest begins at this offset."""
    return _HEADER + _EXTRA + b"%016x" % manifest_at + _EMPTY


def manifest_offset(end: bytes) -> int | None:
    """Where the manifest begins, from an archive's last ``SIZE`` bytes; None when they are no footer of ours."""
    match = _SHAPE.fullmatch(end)
    return int(match[1], 16) if match else None
