"""Where a file has holes, so that they are neither read nor stored."""

from __future__ import annotations

import errno
import os

from backups.archive.heads import Extent

_DISK_BLOCK = 512
#: Smaller files are stored as they are read.
_LEAST = 64 * 1024
#: A file with more parts is stored whole, its holes as zeros: the list would outgrow what it saves.
MOST_EXTENTS = 10_000


def data_extents(descriptor: int, status: os.stat_result) -> tuple[Extent, ...] | None:
    """The parts of the file that hold data; None when it has no holes, or none that its file system tells of."""
    size = status.st_size
    if size < _LEAST or status.st_blocks * _DISK_BLOCK >= size:
        return None
    extents: list[Extent] = []
    at = 0
    while at < size and (found := _next(descriptor, at, size)):
        extents.append(found)
        at = sum(found)
        if len(extents) > MOST_EXTENTS:
            return None
    if extents == [(0, size)]:
        return None
    if at < size:
        extents.append((size, 0))  # GNU tar takes the length of a file from its last part
    return tuple(extents)


def _next(descriptor: int, at: int, size: int) -> Extent | None:
    """The first part at or behind ``at``. What grows meanwhile is cut at the size that the header will tell."""
    try:
        start = os.lseek(descriptor, at, os.SEEK_DATA)
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        return at, size - at
    return (start, min(end, size) - start) if start < size else None
