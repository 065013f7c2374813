"""Reading a table around its damaged pages."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from backups.sqlite.pagemap import merged
from backups.sqlite.treepages import Range
from backups.sqlite.trouble import is_damage

#: Tries in a row that yield nothing, after which what is left of a range is given up.
_MOST_FAILURES = 256

Row = tuple[Any, ...]
#: Rows of a range of rowids, the rowid first, in ascending order or, when told so, descending.
Select = Callable[[int, int, bool], Iterable[Row]]


def read_around(select: Select, take: Callable[[Row], None], low: int, high: int) -> list[Range]:
    """Hand each row that can be read to ``take``, once. Answers the ranges of rowids that can't be.

    Forwards until a damaged page, backwards until one, then the halves of what lies between, the wider ones first.
    """
    waiting = deque([(low, high)])
    lost: list[Range] = []
    left = _MOST_FAILURES
    while waiting:
        first, last = waiting.popleft()
        gap, yielded = _from_both_ends(select, take, first, last)
        left = _MOST_FAILURES if yielded else left - 1
        if gap is None:
            continue
        if gap[0] == gap[1] or left <= 0:
            lost.append(gap)
            continue
        middle = (gap[0] + gap[1]) // 2
        waiting.extend([(gap[0], middle), (middle + 1, gap[1])])
    return merged(lost)


def _from_both_ends(select: Select, take: Callable[[Row], None], low: int, high: int) -> tuple[Range | None, bool]:
    """What could not be read between the two ends, if anything, and whether there was a row."""
    up = _Walk(select(low, high, False), take, 1)  # noqa: FBT003 - the direction
    if up.whole:
        return None, up.last is not None
    start = low if up.last is None else up.last + 1
    if start > high:
        return None, True
    down = _Walk(select(start, high, True), take, -1)  # noqa: FBT003 - the direction
    end = high if down.last is None else down.last - 1
    yielded = up.last is not None or down.last is not None
    return (None if down.whole or start > end else (start, end)), yielded


class _Walk:
    """One way through a range: the last rowid that came, and whether it was walked to its end."""

    def __init__(self, rows: Iterable[Row], take: Callable[[Row], None], step: int) -> None:
        self.last: int | None = None
        self.whole = False
        try:
            for row in rows:
                if self.last is not None and (row[0] - self.last) * step <= 0:
                    return  # keys out of order: a page that isn't where it belongs
                take(row)
                self.last = row[0]
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return
        self.whole = True
