"""The SHA-256 of a file. Holes are not read: they count as the zeros that a reader of the file sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from backups.archive.heads import Extent, Head
from backups.archive.stores import nothing


class Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def digest_of(head: Head, on_wait: Callable[[], None] = nothing) -> Digest:
    """For the stored data of one entry."""
    if head.extents is None:
        return hashlib.sha256()
    return SparseDigest(head.size, head.extents, on_wait)


_ZEROS = bytes(256 * 1024)


class SparseDigest:
    """Takes the data between the holes, in order. ``on_wait`` is called now and then: a hole may be a terabyte."""

    def __init__(self, size: int, extents: tuple[Extent, ...], on_wait: Callable[[], None] = nothing) -> None:
        self._digest = hashlib.sha256()
        self._size, self._extents, self._on_wait = size, list(reversed(extents)), on_wait
        self._at = 0
        self._left = 0

    def update(self, data: bytes | memoryview) -> None:
        while data:
            if not self._left:
                offset, self._left = self._extents.pop()
                self._zeros(offset)
            part, data = data[: self._left], data[self._left :]
            self._digest.update(part)
            self._at += len(part)
            self._left -= len(part)

    def hexdigest(self) -> str:
        """Once, after the last of the data."""
        self._zeros(self._size)
        return self._digest.hexdigest()

    def _zeros(self, until: int) -> None:
        while self._at < until:
            self._on_wait()
            part = _ZEROS[: until - self._at]
            self._digest.update(part)
            self._at += len(part)
