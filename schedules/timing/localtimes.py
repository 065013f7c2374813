"""The local times that a cron expression names, as sets and as an ordered walk. No zone is known here."""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

HOUR, DAY = 3600, 24 * 3600
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LONGEST = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}
_SHORTEST_MONTH = 28
_EVERY_WEEKDAY = frozenset(range(7))

MonthTable = tuple[tuple[tuple[int, ...], ...], ...]


class Month(NamedTuple):
    """`start` is its first day, in days since the epoch; `length` in days."""

    number: int
    start: int
    length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalTimes:
    """Sets of local times in the form that walking them needs.

    `hours` are seconds into the day, `moments` seconds into the hour, `month_days[weekday][length - 28]`
    the days of a month of that length that begins on that weekday (Sunday is 0). `ever` is False for a
    date that no calendar has.
    """

    hours: tuple[int, ...]
    moments: tuple[int, ...]
    months: frozenset[int]
    month_days: MonthTable
    ever: bool

    def between(self, low: int, high: int, shift: int = 0) -> Iterator[int]:
        """The matching local seconds of [low, high), each less `shift`, in order."""
        for day in self._days(low // DAY, (high - 1) // DAY):
            for hour in self.hours:
                start = day * DAY + hour
                if start >= high:
                    return
                if start + HOUR > low:
                    yield from map((start - shift).__add__, self._moments(low - start, high - start))

    def any_between(self, low: int, high: int) -> bool:
        return next(self.between(low, high), None) is not None

    def count(self, low: int, high: int) -> int:
        """How many `between` would give: whole days by the tables, arithmetic for the two days at the edges."""
        if high <= low:
            return 0
        days = self._count_days(low // DAY, high // DAY)
        return days * len(self.hours) * len(self.moments) - self._in_day_before(low) + self._in_day_before(high)

    def last(self, low: int, high: int) -> int | None:
        """The latest that `between` would give."""
        for day in self._days_back(low // DAY, (high - 1) // DAY):
            rank = self._rank(high - day * DAY)
            if rank > 0:
                hour, moment = divmod(rank - 1, len(self.moments))
                found = day * DAY + self.hours[hour] + self.moments[moment]
                return found if found >= low else None
        return None

    def _in_day_before(self, second: int) -> int:
        """Matches of the day that `second` lies in, before it."""
        day = second // DAY
        return self._rank(second - day * DAY) if self._count_days(day, day + 1) else 0

    def _rank(self, second: int) -> int:
        """How many times of a matching day come before `second` of that day; one beyond the day is after all."""
        hour = second // HOUR * HOUR
        earlier = bisect_left(self.hours, hour)
        rank = earlier * len(self.moments)
        if earlier < len(self.hours) and self.hours[earlier] == hour:
            rank += bisect_left(self.moments, second - hour)
        return rank

    def _moments(self, low: int, high: int) -> tuple[int, ...]:
        """Those of one hour in [low, high); bisected because an hour can hold 3,600 of them."""
        first = bisect_left(self.moments, low) if low > 0 else 0
        last = bisect_left(self.moments, high) if high < HOUR else None
        return self.moments[first:last]

    def _days(self, first: int, last: int) -> Iterator[int]:
        """Matching days since the epoch, `first` and `last` included."""
        for month in self._months(first, last):
            for day in self._month_days(month):
                number = month.start + day - 1
                if first <= number <= last:
                    yield number

    def _days_back(self, first: int, last: int) -> Iterator[int]:
        """`_days`, the last one first."""
        for month in self._months_back(first, last):
            for day in reversed(self._month_days(month)):
                number = month.start + day - 1
                if first <= number <= last:
                    yield number

    def _count_days(self, first: int, end: int) -> int:
        """How many of [first, end) match."""
        count = 0
        for month in self._months(first, end - 1):
            days = self._month_days(month)
            if first <= month.start and month.start + month.length <= end:
                count += len(days)
            else:
                low, high = first - month.start + 1, end - month.start + 1
                count += bisect_left(days, high) - bisect_left(days, low)
        return count

    def _month_days(self, month: Month) -> tuple[int, ...]:
        return self.month_days[(month.start + 4) % 7][month.length - _SHORTEST_MONTH]  # 1970-01-01: a Thursday

    def _months(self, first: int, last: int) -> Iterator[Month]:
        """The matching months that touch [first, last]."""
        for year in range(_date(first).year, _date(last).year + 1):
            for month in _months_of(year):
                number, start, length = month
                if start > last:
                    return
                if number in self.months and start + length > first:
                    yield month

    def _months_back(self, first: int, last: int) -> Iterator[Month]:
        """`_months`, the last one first."""
        for year in range(_date(last).year, _date(first).year - 1, -1):
            for month in reversed(_months_of(year)):
                if month.number in self.months and month.start <= last and month.start + month.length > first:
                    yield month


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH_DAY)


@lru_cache(maxsize=1024)
def _months_of(year: int) -> tuple[Month, ...]:
    return tuple(
        Month(month, date(year, month, 1).toordinal() - _EPOCH_DAY, monthrange(year, month)[1])
        for month in range(1, 13)
    )


def local_times(
    *,
    seconds: Iterable[int],
    minutes: Iterable[int],
    hours: Iterable[int],
    days: Iterable[int] | None,
    months: Iterable[int],
    weekdays: Iterable[int] | None,
) -> LocalTimes:
    """`days` and `weekdays` are None when the field restricts nothing; if both restrict, either is enough."""
    month_set = frozenset(months)
    day_set, weekday_set = _either(days, weekdays)
    return LocalTimes(
        hours=tuple(hour * HOUR for hour in sorted(hours)),
        moments=_moments_of_an_hour(tuple(sorted(minutes)), tuple(sorted(seconds))),
        months=month_set,
        month_days=_month_table(day_set, weekday_set),
        ever=bool(weekday_set) or any(day <= _LONGEST[month] for day in day_set for month in month_set),
    )


def _either(days: Iterable[int] | None, weekdays: Iterable[int] | None) -> tuple[frozenset[int], frozenset[int]]:
    """The two sets of which a day must be in one: crontab(5)'s rule with the unrestricted cases folded in."""
    if weekdays is None:
        return (frozenset(), _EVERY_WEEKDAY) if days is None else (frozenset(days), frozenset())
    return frozenset() if days is None else frozenset(days), frozenset(weekdays)


# Both tables are shared by all expressions that need the same one: an organisation's thousand
# nightly jobs have one table of days.
@lru_cache(maxsize=1024)
def _moments_of_an_hour(minutes: tuple[int, ...], seconds: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(minute * 60 + second for minute in minutes for second in seconds)


@lru_cache(maxsize=4096)
def _month_table(days: frozenset[int], weekdays: frozenset[int]) -> MonthTable:
    return tuple(
        tuple(
            tuple(day for day in range(1, length + 1) if day in days or (begins + day - 1) % 7 in weekdays)
            for length in range(_SHORTEST_MONTH, 32)
        )
        for begins in range(7)
    )
