"""The clock on a zone's wall, read both ways: UTC to local and back, in whole seconds since 1970-01-01T00:00 of each.

A wall clock shows some local times never and some twice. What starts at such a time starts when the wall
first reaches it or passes it; what ends there ends when the wall has left it for good.
"""

from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schedules.timing.spans import Span, spans_between

_DAY = 24 * 3600
# No zone was ever further from UTC, nor did one jump further, than about a day.
_REACH = 2 * _DAY


class Reading(NamedTuple):
    """The lowest local second that the wall shows from some instant on, and the highest it has shown until then.

    Both are the time on the wall, except in a repetition: there `lowest` is where the second pass begins
    (during the first), and `highest` where the first pass ended (during the second).
    """

    lowest: int
    highest: int


def reading(zone: ZoneInfo, second: int) -> Reading:
    """What the wall shows at a UTC second."""
    spans = _spans_around(zone, second // _DAY)
    return Reading(
        min(max(second, span.start) + span.offset for span in spans if span.end > second),
        max(min(second, span.end - 1) + span.offset for span in spans if span.start <= second),
    )


def reached(zone: ZoneInfo, local: int) -> int:
    """The first UTC second at which the wall shows `local` or more: a repeated time's first pass, a gap's end."""
    spans = _spans_around(zone, local // _DAY)
    return min(max(span.start, local - span.offset) for span in spans if local < span.end + span.offset)


def left_behind(zone: ZoneInfo, local: int) -> int:
    """The first UTC second from which on the wall shows `local` or more: a repeated time's second pass, a gap's end.

    Where a repetition begins with `local` itself, all that lies before it is over with the first pass.
    """
    spans = _spans_around(zone, local // _DAY)
    return max(min(span.end, local - span.offset) for span in spans if span.start + span.offset < local)


@lru_cache(maxsize=4096)
def _spans_around(zone: ZoneInfo, day: int) -> tuple[Span, ...]:
    """The spans within reach of a day: the lines of a calendar ask for the same few again and again."""
    return tuple(spans_between(zone, day * _DAY - _REACH, (day + 1) * _DAY + _REACH))
