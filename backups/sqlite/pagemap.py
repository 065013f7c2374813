"""Which rows of a damaged table can be reached by what is certain to be theirs.

SQLite follows a page's pointers wherever they lead; a damaged one may lead into another table, whose rows would
then be read as this one's. So the tree of a table is walked first (https://www.sqlite.org/fileformat.html#b_tree_pages):
keys must ascend within what the page above allows, and no page may be claimed twice by anyone.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

_INTERIOR, _LEAF = 0x05, 0x0D
_INTERIOR_HEADER, _LEAF_HEADER = 12, 8
_FIRST_PAGE_HEADER = 100
LOWEST, HIGHEST = -(2**63), 2**63 - 1
_MOST_DEPTH = 40

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One page of a table: the rowids that it may hold, ``trusted`` unless it is out of its place."""

    page: int
    low: int
    high: int
    trusted: bool


@dataclass
class PageMap:
    """The leaves of tables. ``claims`` counts, over all tables walked so far, who points to a page."""

    descriptor: int
    page_size: int
    claims: dict[int, int] = field(default_factory=dict)
    leaves: dict[int, list[Node]] = field(default_factory=dict)

    def walk(self, root: int) -> None:
        """Find the leaves of the table whose first page is ``root``."""
        found: list[Node] = []
        waiting = deque([(root, LOWEST, HIGHEST, 0)])
        while waiting:
            page, low, high, depth = waiting.popleft()
            self.claims[page] = self.claims.get(page, 0) + 1
            content = self._page(page)
            children = None
            if self.claims[page] == 1 and depth < _MOST_DEPTH and _kind(page, content) == _INTERIOR:
                children = _children(page, content, low, high)
            if children is None:
                trusted = _kind(page, content) == _LEAF
                found.append(Node(page=page, low=low, high=high, trusted=trusted))
                continue
            waiting.extend((child, first, last, depth + 1) for child, first, last in children)
        self.leaves[root] = sorted(found, key=lambda node: node.low)

    def trusted(self, root: int) -> tuple[list[Range], list[Range]]:
        """Ranges of rowids to read, and those that are lost; after every table was walked."""
        good: list[Range] = []
        lost: list[Range] = []
        for node in self.leaves[root]:
            certain = node.trusted and self.claims[node.page] == 1
            (good if certain else lost).append((node.low, node.high))
        return merged(good), merged(lost)

    def _page(self, page: int) -> bytes:
        try:
            return os.pread(self.descriptor, self.page_size, (page - 1) * self.page_size) if page > 0 else b""
        except OSError:  # a disk that can't read this page
            return b""


def merged(ranges: list[Range]) -> list[Range]:
    """Neighbouring ranges as one, in ascending order."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def _start(page: int) -> int:
    return _FIRST_PAGE_HEADER if page == 1 else 0


def _kind(page: int, content: bytes) -> int:
    start = _start(page)
    return content[start] if len(content) > start + _LEAF_HEADER else 0


def _children(page: int, content: bytes, low: int, high: int) -> list[tuple[int, int, int]] | None:
    """Children with the rowids that each may hold; None when the page can't be what it claims to be."""
    found = []
    for child, key in _cells(page, content):
        if child <= 0 or not low <= key <= high:
            return None
        found.append((child, low, key))
        low = key + 1
    right = int.from_bytes(content[_start(page) + 8 : _start(page) + 12], "big")
    if right <= 0 or low > high:
        return None
    return [*found, (right, low, high)]


def _cells(page: int, content: bytes) -> Iterator[tuple[int, int]]:
    """Left child and key of each cell; a child of 0 for one that doesn't fit its page."""
    start = _start(page)
    count = int.from_bytes(content[start + 3 : start + 5], "big")
    for number in range(count):
        at = start + _INTERIOR_HEADER + 2 * number
        cell = int.from_bytes(content[at : at + 2], "big")
        if cell < start + _INTERIOR_HEADER or cell + 5 > len(content):
            yield 0, 0
            return
        yield int.from_bytes(content[cell : cell + 4], "big"), _varint(content, cell + 4)


def _varint(content: bytes, at: int) -> int:
    value = 0
    for byte in content[at : at + 8]:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the last byte but for a ninth
            return _signed(value)
    ninth = content[at + 8] if at + 8 < len(content) else 0
    return _signed(value << 8 | ninth)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
