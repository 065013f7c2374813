"""One line of a blackout calendar: its grammar, and the windows of local time that it stands for.

Local times are whole seconds since 1970-01-01T00:00 on the wall; a window is [start, end).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple, Protocol

DAY = 24 * 3600
EPOCH_DAY = date(1970, 1, 1).toordinal()
# From the epoch on, and so that the end of a window of the last year can still be written as a date.
FIRST_YEAR, LAST_YEAR = 1970, 9997


class LocalWindow(NamedTuple):
    start: int
    end: int


class MonthDay(NamedTuple):
    month: int
    day: int


class Line(Protocol):
    """`text` is the line without its comment."""

    @property
    def text(self) -> str: ...

    def overlapping(self, lowest: int, highest: int) -> Iterator[LocalWindow]:
        """The windows that start at `highest` or before and end after `lowest`, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dated:
    """Once: whole days (then `start` and `end` are midnights, `end` that of the day after) or from time to time."""

    text: str
    start: int
    end: int
    whole_days: bool

    def overlapping(self, lowest: int, highest: int) -> Iterator[LocalWindow]:
        if self.start <= highest and self.end > lowest:
            yield LocalWindow(self.start, self.end)


@dataclass(frozen=True, kw_only=True, slots=True)
class Yearly:
    """Whole days of every year, `first` and `last` included, over new year if `last` comes before `first`.

    29 February counts in leap years: in the others a window that starts there starts on 1 March, and one
    that ends there ends with 28 February.
    """

    text: str
    first: MonthDay
    last: MonthDay

    def overlapping(self, lowest: int, highest: int) -> Iterator[LocalWindow]:
        for year in range(_year(lowest) - 1, _year(highest) + 1):
            start, end = window = _window_from(year, self.first, self.last)
            if start < end and start <= highest and end > lowest:
                yield window


@dataclass(frozen=True, kw_only=True, slots=True)
class Weekly:
    """On each of `weekdays` (Sunday is 0), from `start` to `end`: seconds of the day, of the next one beyond DAY."""

    text: str
    weekdays: frozenset[int]
    start: int
    end: int

    def overlapping(self, lowest: int, highest: int) -> Iterator[LocalWindow]:
        for day in range((lowest - self.end) // DAY + 1, (highest - self.start) // DAY + 1):
            if (day + 4) % 7 in self.weekdays:  # 1970-01-01 was a Thursday
                yield LocalWindow(day * DAY + self.start, day * DAY + self.end)


@lru_cache(maxsize=4096)
def _window_from(year: int, first: MonthDay, last: MonthDay) -> LocalWindow:
    start = _day(year, first.month) + first.day - 1
    end_year = year + (last < first)
    end = min(_day(end_year, last.month) + last.day, _day(end_year, last.month + 1))
    return LocalWindow(start * DAY, end * DAY)


def _year(second: int) -> int:
    return date.fromordinal(second // DAY + EPOCH_DAY).year


def _day(year: int, month: int) -> int:
    """The first day of a month, in days since the epoch; month 13 is the next January."""
    return date(year + month // 13, (month - 1) % 12 + 1, 1).toordinal() - EPOCH_DAY
