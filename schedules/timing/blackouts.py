"""Blackout calendars: the times at which nothing is to start, each calendar in its own zone."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schedules.timing.blackoutgrammar import parse_line
from schedules.timing.blackoutlines import FIRST_YEAR, LAST_YEAR, Line, LocalWindow
from schedules.timing.errors import ExpressionError
from schedules.timing.rules import aware
from schedules.timing.spans import EPOCH, seconds_of
from schedules.timing.wallclock import left_behind, reached, reading
from schedules.timing.zones import check_timezone

MOST_WINDOWS = 500  # lines of one calendar
_FIRST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_LAST = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - timedelta.resolution


class Window(NamedTuple):
    """[start, end) in UTC, and the line of the calendar that says so, without its comment."""

    start: datetime
    end: datetime
    text: str


class Segment(NamedTuple):
    """A part (after, through] of a period, as a rule's `fires` and `count` take it; `text` is None where it is free."""

    after: datetime
    through: datetime
    text: str | None


@dataclass(frozen=True, kw_only=True)
class Blackouts:
    """A calendar of the years 1970 to 9997. Without lines it blacks out nothing."""

    timezone: str
    lines: tuple[Line, ...]

    def window_at(self, moment: datetime) -> Window | None:
        """The window that holds `moment`: the first in the order of the lines; None outside all of them."""
        instant = aware(moment)
        if not self.lines or not _FIRST <= instant <= _LAST:
            return None
        zone = check_timezone(self.timezone)
        shown = reading(zone, seconds_of(instant))
        for line in self.lines:
            for local in line.overlapping(*shown):
                return _window(zone, line, local)
        return None

    def windows(self, after: datetime, through: datetime) -> Iterator[Window]:
        """The windows that overlap (after, through], whole, in order of their start; lazily.

        They may overlap each other: see `merged`.
        """
        first, last = max(aware(after), _FIRST), min(aware(through), _LAST)
        if not self.lines or first >= last:
            return iter(())
        zone = check_timezone(self.timezone)
        lowest, highest = reading(zone, seconds_of(first)).lowest, reading(zone, seconds_of(last)).highest
        by_line = (_windows(zone, line, lowest, highest) for line in self.lines)
        return heapq.merge(*by_line, key=_start)


def parse_blackouts(text: str, *, timezone: str) -> Blackouts:
    """The calendar of a text with one window a line; ExpressionError (field "windows" or "timezone") names the line.

    Blank lines and what follows a "#" are left out.
    """
    return _parsed(text, timezone)


def tidy_windows(text: str) -> str:
    """The text as it is kept: the same windows, without blanks behind lines and empty lines at the ends."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def merged(calendars: Iterable[Blackouts], after: datetime, through: datetime) -> Iterator[Window]:
    """The blacked-out parts of several calendars: disjoint, in order, lazily.

    Each piece carries the text of the window that covers it and started first, among equals that of the first
    calendar and line; pieces that touch and have the same text are one. All overlap (after, through], but they
    are not cut to it: the first may start before and the last end behind it.
    """
    piece, last = None, aware(through)
    for window in heapq.merge(*(calendar.windows(after, through) for calendar in calendars), key=_start):
        if piece is None:
            piece = window
        elif window.end > piece.end:
            if window.start <= piece.end and window.text == piece.text:
                piece = piece._replace(end=window.end)
            elif piece.end > last:
                break  # what is left of the others lies behind the period
            else:
                yield piece
                piece = window._replace(start=max(window.start, piece.end))
    if piece is not None:
        yield piece


def segments(calendars: Iterable[Blackouts], after: datetime, through: datetime) -> Iterator[Segment]:
    """(after, through] cut into black and free parts, in order and without a gap; lazily.

    A fire lies in exactly one of them, and in a black one if and only if a calendar blacks it out.
    """
    cursor, end = aware(after), aware(through)
    for piece in merged(calendars, cursor, end):
        # [start, end) holds the same instants as (start - tick, end - tick].
        begins, ends = piece.start - timedelta.resolution, min(piece.end - timedelta.resolution, end)
        if cursor < begins:
            yield Segment(cursor, begins, None)
            cursor = begins
        if cursor < ends:
            yield Segment(cursor, ends, piece.text)
            cursor = ends
    if cursor < end:
        yield Segment(cursor, end, None)


@lru_cache(maxsize=1024)
def _parsed(text: str, timezone: str) -> Blackouts:
    lines: list[Line] = []
    for number, whole in enumerate(text.splitlines(), start=1):
        line = whole.partition("#")[0].strip()
        if line and len(lines) == MOST_WINDOWS:
            reason = f"line {number}: a calendar has at most {MOST_WINDOWS} windows"
            raise ExpressionError(field="windows", value=line, reason=reason, example="2026-12-24..2026-12-26")
        if line:
            lines.append(_line(line, number))
    return Blackouts(timezone=check_timezone(timezone).key, lines=tuple(lines))


def _line(text: str, number: int) -> Line:
    try:
        return parse_line(text)
    except ExpressionError as problem:
        reason = f"line {number}: {problem.reason}"
        raise ExpressionError(
            field=problem.field, value=problem.value, reason=reason, example=problem.example
        ) from None


def _windows(zone: ZoneInfo, line: Line, lowest: int, highest: int) -> Iterator[Window]:
    for local in line.overlapping(lowest, highest):
        window = _window(zone, line, local)
        if window.start < window.end:  # else all of it lies in a gap
            yield window


def _window(zone: ZoneInfo, line: Line, local: LocalWindow) -> Window:
    start, end = reached(zone, local.start), left_behind(zone, local.end)
    return Window(EPOCH + timedelta(seconds=start), EPOCH + timedelta(seconds=end), line.text)


def _start(window: Window) -> datetime:
    return window.start
