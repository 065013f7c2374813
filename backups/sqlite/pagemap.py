"""Which rows of a damaged table can be reached by what is certain to be theirs.

SQLite follows a page's pointers wherever they lead; a damaged one may lead into another table, whose rows would
then be read as this one's. So the tree of a table is walked first (https://www.sqlite.org/fileformat.html#b_tree_pages):
keys must ascend within what the page above allows, and no page may be claimed twice by anyone.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field

from backups.sqlite.treepages import INTERIOR, LEAF, Range, children, intact, kind, number, outside

LOWEST, HIGHEST = -(2**63), 2**63 - 1
_MOST_DEPTH = 40


@dataclass(frozen=True, kw_only=True)
class Node:
    """One page of a table: the rowids that it may hold, ``trusted`` unless it is out of its place.

    ``outside``: rowids that it holds all the same, as the page above it is damaged. No search finds these.
    """

    page: int
    low: int
    high: int
    trusted: bool
    outside: tuple[Range, ...] = ()


@dataclass
class PageMap:
    """The leaves of tables. ``claims`` counts, over all tables walked so far, who points to a page.

    ``doubtful`` are ranges that are read, and told as lost all the same: a page there is damaged in its structure.
    """

    descriptor: int
    page_size: int
    claims: dict[int, int] = field(default_factory=dict)
    leaves: dict[int, list[Node]] = field(default_factory=dict)
    doubtful: dict[int, list[Range]] = field(default_factory=dict)

    def walk(self, root: int) -> None:
        """Find the leaves of the table whose first page is ``root``."""
        found: list[Node] = []
        waiting = deque([(root, LOWEST, HIGHEST, 0)])
        while waiting:
            page, low, high, depth = waiting.popleft()
            self.claims[page] = self.claims.get(page, 0) + 1
            content = self._page(page)
            below = None
            if self.claims[page] == 1 and depth < _MOST_DEPTH and kind(page, content) == INTERIOR:
                below = children(page, content, low, high)
            if kind(page, content) in {INTERIOR, LEAF} and not intact(page, content, self._usable):
                self.doubtful.setdefault(root, []).append((low, high))
            if below is None:
                found.append(_leaf(page, content, low, high))
            else:
                waiting.extend((child, first, last, depth + 1) for child, first, last in below)
        self.leaves[root] = sorted(found, key=lambda node: node.low)

    def claim_free(self) -> None:
        """Pages that are free hold rows that were deleted: who points there as well is wrong."""
        page, seen = number(self._page(1), 32), set[int]()
        while page and page not in seen:
            seen.add(page)
            content = self._page(page)
            free = [number(content, at) for at in range(8, 8 + 4 * min(number(content, 4), self.page_size // 4), 4)]
            if not all(0 < each <= self._pages for each in free):
                return  # a damaged list claims nothing
            for each in (page, *free):
                self.claims[each] = self.claims.get(each, 0) + 1
            page = number(content, 0)

    @property
    def _usable(self) -> int:
        """Bytes of a page without those that an extension reserved."""
        return self.page_size - self._page(1)[20]

    @property
    def _pages(self) -> int:
        return os.fstat(self.descriptor).st_size // self.page_size

    def trusted(self, root: int) -> tuple[list[Range], list[Range]]:
        """Ranges of rowids to read, and those that are lost; after every table was walked.

        One range a leaf: a damaged one with keys out of their place can't spoil the reading of its neighbours.
        """
        good: list[Range] = []
        lost = list(self.doubtful.get(root, []))
        for node in self.leaves[root]:
            certain = node.trusted and self.claims[node.page] == 1
            (good if certain else lost).append((node.low, node.high))
            lost.extend(node.outside if certain else ())
        return good, merged(lost)

    def _page(self, page: int) -> bytes:
        try:
            return os.pread(self.descriptor, self.page_size, (page - 1) * self.page_size) if page > 0 else b""
        except OSError:  # a disk that can't read this page
            return b""


def _leaf(page: int, content: bytes, low: int, high: int) -> Node:
    trusted = kind(page, content) == LEAF
    beyond = outside(page, content, low, high) if trusted else ()
    return Node(page=page, low=low, high=high, trusted=trusted, outside=beyond)


def merged(ranges: list[Range]) -> list[Range]:
    """Neighbouring ranges as one, in ascending order."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result
