"""From text to rule."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from schedules.timing.cronfields import EXAMPLE, SHORTHANDS, cron_fields
from schedules.timing.descriptors import descriptor_rule
from schedules.timing.durations import duration_text
from schedules.timing.errors import ExpressionError
from schedules.timing.localtimes import local_times
from schedules.timing.rules import CronRule, IntervalRule, OnceRule, Rule, aware
from schedules.timing.zones import check_timezone

LONGEST_INTERVAL = 366 * 24 * 3600  # seconds
_LONGEST_TEXT = 500
_LONGEST_PREFIX = 50
_PREFIX = re.compile(r"((?:CRON_)?TZ=\S*)\s*(.*)", re.DOTALL)


def parse(expression: str, *, timezone: str = "UTC", job_name: str = "", anchor: datetime | None = None) -> Rule:
    """The rule of an expression; ExpressionError says what is wrong with it.

    A date that never comes is let through (it answers no fires): `validate` refuses it. `anchor` counts
    for `@every` only and is now when left out; `job_name` for `~` only.
    """
    rule = _parsed(expression, timezone, job_name if "~" in expression else "")
    if isinstance(rule, IntervalRule):
        return replace(rule, anchor=_whole_second(anchor or datetime.now(UTC)))
    return rule


def validate(expression: str, *, timezone: str = "UTC", job_name: str = "") -> Rule:
    """`parse`, and a refusal of what must not be saved: a date that never comes."""
    rule = parse(expression, timezone=timezone, job_name=job_name)
    if isinstance(rule, CronRule) and not rule.ever:
        raise _with_way_out(_never(rule.expression), _split(expression)[0], job_name)
    return rule


def interval_rule(seconds: int, *, anchor: datetime, timezone: str = "UTC") -> Rule:
    """Every `seconds` of elapsed time from `anchor` on: 1 second to 366 days."""
    if not 1 <= seconds <= LONGEST_INTERVAL:
        reason = f"an interval is 1 second to 366 days ({LONGEST_INTERVAL} seconds)"
        raise ExpressionError(field="interval", value=str(seconds), reason=reason, example="3600")
    text = f"@every {duration_text(seconds)}"
    zone = check_timezone(timezone).key
    return IntervalRule(expression=text, timezone=zone, seconds=seconds, anchor=_whole_second(anchor))


def once_rule(run_at: datetime, *, timezone: str = "UTC") -> Rule:
    """Once, at `run_at`."""
    instant = aware(run_at)
    text = f"@at {instant.replace(tzinfo=None).isoformat()}Z"
    return OnceRule(expression=text, timezone=check_timezone(timezone).key, run_at=instant)


def _whole_second(anchor: datetime) -> datetime:
    # As in Dkron, so that fires fall on whole seconds however the anchor was taken.
    return aware(anchor).replace(microsecond=0)


@lru_cache(maxsize=16384)
def _parsed(expression: str, timezone: str, job_name: str) -> Rule:
    prefix, text = _split(expression)
    zone = check_timezone(prefix.partition("=")[2] if prefix else timezone).key
    try:
        return _rule(text, zone, job_name)
    except ExpressionError as problem:
        raise _with_way_out(problem, prefix, job_name) from None


def _split(expression: str) -> tuple[str, str]:
    """The prefix "CRON_TZ=Zone" or "TZ=Zone", where there is one, and the text behind it."""
    if len(expression) > _LONGEST_TEXT:
        reason = f"is longer than {_LONGEST_TEXT} characters"
        raise ExpressionError(field="expression", value=expression, reason=reason, example=EXAMPLE)
    text = " ".join(expression.split())
    match = _PREFIX.fullmatch(text)
    return (match[1], match[2]) if match else ("", text)


def _rule(text: str, zone: str, job_name: str) -> Rule:
    if not text.startswith("@"):
        return _cron_rule(text, zone, job_name)
    name, *argument = text.split(" ")
    text = " ".join([name.lower(), *argument])
    return _cron_rule(text, zone, job_name) if text in SHORTHANDS else descriptor_rule(text, timezone=zone)


def _with_way_out(problem: ExpressionError, prefix: str, job_name: str) -> ExpressionError:
    """The same problem, with an example that can be saved and keeps the zone: in another one its fires would move."""
    example = problem.example if _can_be_saved(problem.example, job_name) else EXAMPLE
    if prefix:
        example = f"{prefix} {example}"
    return ExpressionError(field=problem.field, value=problem.value, reason=problem.reason, example=example)


def _can_be_saved(text: str, job_name: str) -> bool:
    try:
        rule = _rule(text, "UTC", job_name)
    except ExpressionError:  # it had a second fault
        return False
    if isinstance(rule, CronRule) and not rule.ever:
        return False
    return len(text) <= _LONGEST_TEXT - _LONGEST_PREFIX


def _never(expression: str) -> ExpressionError:
    fields = expression.split()
    day, reason = fields[-3], f"month {fields[-2]} never has that day"
    fields[-3] = "1"
    return ExpressionError(field="day of month", value=day, reason=reason, example=" ".join(fields))


def _cron_rule(text: str, timezone: str, job_name: str) -> CronRule:
    fields = cron_fields(text, job_name=job_name)
    times = local_times(
        seconds=fields.sets.seconds,
        minutes=fields.sets.minutes,
        hours=fields.sets.hours,
        days=fields.days,
        months=fields.sets.months,
        weekdays=fields.weekdays,
    )
    return CronRule(
        expression=text,
        timezone=timezone,
        times=times,
        catches_up=not fields.every_hour,
        repeats=fields.every_hour or fields.recurs_in_hour,
    )
