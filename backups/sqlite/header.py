"""The first hundred bytes of a database (https://www.sqlite.org/fileformat.html#the_database_header)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Literal

MAGIC = b"SQLite format 3\0"
SIZE = 100
#: A page size of 65,536 does not fit its two bytes and is written as 1.
_LARGEST_PAGE, _LARGEST_AS = 65536, 1
_SMALLEST_PAGE = 512
_VERSIONS_AT, _WAL = 18, 2
_ROLLBACK_VERSIONS = b"\x01\x01"

JournalMode = Literal["wal", "delete"]


@dataclass(frozen=True, kw_only=True)
class Header:
    """``journal_mode``: WAL is kept in the file; the kinds of rollback journal are a connection's own
    matter, so all of them are ``delete``. ``pages`` is 0 in files of very old libraries."""

    page_size: int
    journal_mode: JournalMode
    pages: int
    user_version: int
    application_id: int


#: A file of no bytes is a database without tables for SQLite.
EMPTY = Header(page_size=4096, journal_mode="delete", pages=0, user_version=0, application_id=0)


def parse(data: bytes) -> Header | None:
    """The header in a file's first bytes, or None when it is not a database's."""
    if not data:
        return EMPTY
    if len(data) < SIZE or not data.startswith(MAGIC):
        return None
    page_size = int.from_bytes(data[16:18], "big")
    page_size = _LARGEST_PAGE if page_size == _LARGEST_AS else page_size
    if page_size < _SMALLEST_PAGE or page_size & (page_size - 1):
        return None
    (pages,) = struct.unpack(">I", data[28:32])
    (user_version,) = struct.unpack(">i", data[60:64])
    (application_id,) = struct.unpack(">i", data[68:72])
    return Header(
        page_size=page_size,
        journal_mode="wal" if _WAL in data[18:20] else "delete",
        pages=pages,
        user_version=user_version,
        application_id=application_id,
    )


def read(descriptor: int) -> Header | None:
    return parse(os.pread(descriptor, SIZE, 0))


def leave_wal(descriptor: int) -> None:
    """Make a database that stands alone need no ``-wal``: what ``PRAGMA journal_mode=DELETE`` writes.

    Not by that statement, as it needs a readable schema, and a damaged database is to be kept as it is.
    """
    os.pwrite(descriptor, _ROLLBACK_VERSIONS, _VERSIONS_AT)
