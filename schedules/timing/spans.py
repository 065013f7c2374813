"""A zone's history as spans of constant offset, in whole seconds since 1970-01-01T00:00Z.

Inside one span local time is UTC plus a constant, so that finding fires is integer arithmetic; every
peculiarity of a zone sits on the border of two spans: a gap when the offset grows, a repetition when
it shrinks, by half an hour or by a whole day alike. `zoneinfo` does not tell its transitions, so a
year is probed once and kept. A new year is a border too; in all of the data only São Tomé in 1883 repeats
times across one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 2, 9998  # a day of local time fits on both sides of what datetime can hold

# No zone of the IANA data has ever changed its offset twice within three days, so that a change
# between two probes is the only one there; the search below would still find a second one.
_PROBE = 2 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) in UTC seconds; `before` is the offset that held until `start`."""

    start: int
    end: int
    offset: int
    before: int


def seconds_of(moment: datetime) -> int:
    """Whole seconds since the epoch, rounded down (also before 1970)."""
    return (moment - EPOCH) // timedelta(seconds=1)


def spans_between(zone: ZoneInfo, after: int, through: int) -> Iterator[Span]:
    """The spans that hold an instant of (after, through], in order, borders at new year included."""
    for year in range(_year_of(after), _year_of(through) + 1):
        for span in _spans_of(zone, year):
            if span.start > through:
                return
            if span.end > after + 1:
                yield span


def spans_back(zone: ZoneInfo, after: int, through: int) -> Iterator[Span]:
    """The spans of `spans_between`, the last one first."""
    for year in range(_year_of(through), _year_of(after) - 1, -1):
        for span in reversed(_spans_of(zone, year)):
            if span.start <= through and span.end > after + 1:
                yield span


def _new_year(year: int) -> int:
    return seconds_of(datetime(year, 1, 1, tzinfo=UTC))


_FIRST_SECOND, _LAST_NEW_YEAR = _new_year(FIRST_YEAR), _new_year(LAST_YEAR)


def _year_of(second: int) -> int:
    if second < _FIRST_SECOND:
        return FIRST_YEAR
    if second >= _LAST_NEW_YEAR:
        return LAST_YEAR
    return (EPOCH + timedelta(seconds=second)).year


@lru_cache(maxsize=8192)
def _spans_of(zone: ZoneInfo, year: int) -> tuple[Span, ...]:
    start, end = _new_year(year), _new_year(year + 1)
    spans: list[Span] = []
    before = _offset(zone, start - 1)
    for change in [*_changes(zone, start, end), end]:
        spans.append(Span(start, change, _offset(zone, start), before))
        start, before = change, spans[-1].offset
    return tuple(spans)


def _changes(zone: ZoneInfo, start: int, end: int) -> Iterator[int]:
    """The instants of (start, end) at which the offset changes."""
    known = start
    for probe in (*range(start + _PROBE, end - 1, _PROBE), end - 1):
        while _offset(zone, known) != _offset(zone, probe):
            known = _change(zone, known, probe)
            yield known
        known = probe


def _change(zone: ZoneInfo, known: int, probe: int) -> int:
    """The first second with another offset than `known`, which `probe` is known to have."""
    held = _offset(zone, known)
    while probe - known > 1:
        middle = (known + probe) // 2
        if _offset(zone, middle) == held:
            known = middle
        else:
            probe = middle
    return probe


def _offset(zone: ZoneInfo, second: int) -> int:
    offset = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    # A ZoneInfo always knows its offset; the type of utcoffset() has to allow for zones that do not.
    return int(offset.total_seconds()) if offset is not None else 0
