"""The only door to croniter: six plain fields in, six sets of numbers out.

croniter parses; the stepping is ours, because croniter fires a fixed time twice in a repeated hour,
loses others in a missing one, and searches for dates that never come.
"""

from dataclasses import dataclass

from croniter import CroniterError, croniter

from schedules.timing.errors import ExpressionError
from schedules.timing.fields import SIX_FIELDS


@dataclass(frozen=True, kw_only=True)
class Expansion:
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]


def expand(fields: list[str]) -> Expansion:
    """`fields` are six, seconds first, in the plain forms of `fields.plain_text`."""
    text = " ".join(fields)
    try:
        minute, hour, day, month, weekday, second = croniter.expand(text, second_at_beginning=True)[0]
    except CroniterError as problem:
        reason = f"cannot be read ({problem})"
        raise ExpressionError(field="expression", value=text, reason=reason, example="0 2 * * *") from None
    columns = (second, minute, hour, day, month, weekday)
    sets = [
        frozenset(range(spec.low, spec.high + 1)) if "*" in column else frozenset(map(int, column))
        for spec, column in zip(SIX_FIELDS, columns, strict=True)
    ]
    return Expansion(seconds=sets[0], minutes=sets[1], hours=sets[2], days=sets[3], months=sets[4], weekdays=sets[5])
