"""From text to rule."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NoReturn

from schedules.timing.descriptors import SHORTHANDS, descriptor_rule
from schedules.timing.durations import duration_text
from schedules.timing.errors import ExpressionError
from schedules.timing.expansion import expand
from schedules.timing.fields import (
    FIVE_FIELDS,
    SIX_FIELDS,
    Field,
    is_unrestricted,
    name_hash,
    plain_text,
    recurs,
)
from schedules.timing.localtimes import local_times
from schedules.timing.rules import CronRule, IntervalRule, OnceRule, Rule, aware
from schedules.timing.zones import check_timezone

LONGEST_INTERVAL = 366 * 24 * 3600  # seconds
_LONGEST_TEXT = 500
_EXAMPLE = "0 2 * * *"
_HOURS = 24
_PREFIX = re.compile(r"(?:CRON_)?TZ=(\S*)\s*(.*)", re.DOTALL)


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
        fields = rule.expression.split()
        reason = f"month {fields[-2]} never has that day"
        fields[-3] = "1"
        raise ExpressionError(
            field="day of month", value=rule.expression.split()[-3], reason=reason, example=" ".join(fields)
        )
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
    if len(expression) > _LONGEST_TEXT:
        reason = f"is longer than {_LONGEST_TEXT} characters"
        raise ExpressionError(field="expression", value=expression, reason=reason, example=_EXAMPLE)
    text, zone = _without_prefix(" ".join(expression.split()), timezone)
    if not text.startswith("@"):
        return _cron_rule(text, zone, job_name)
    name, *argument = text.split(" ")
    text = " ".join([name.lower(), *argument])
    return _cron_rule(text, zone, job_name) if text in SHORTHANDS else descriptor_rule(text, timezone=zone)


def _without_prefix(text: str, timezone: str) -> tuple[str, str]:
    """The text behind "CRON_TZ=Zone" or "TZ=Zone", and the zone that counts."""
    prefix = _PREFIX.fullmatch(text)
    zone = check_timezone(prefix[1] if prefix else timezone).key
    return (prefix[2] if prefix else text), zone


def _cron_rule(text: str, timezone: str, job_name: str) -> CronRule:
    fields = SHORTHANDS.get(text, text).split()
    plain = _plain_fields(fields, job_name)
    sets = expand(plain)
    every_hour = len(sets.hours) == _HOURS
    return CronRule(
        expression=text,
        timezone=timezone,
        times=local_times(
            seconds=sets.seconds,
            minutes=sets.minutes,
            hours=sets.hours,
            days=None if is_unrestricted(plain[3]) else sets.days,
            months=sets.months,
            weekdays=None if is_unrestricted(plain[5]) else sets.weekdays,
        ),
        catches_up=not every_hour,
        repeats=every_hour or recurs(plain[0]) or recurs(plain[1]),
    )


def _plain_fields(fields: list[str], job_name: str) -> list[str]:
    """Six fields in plain form; five get the second 0."""
    specs = {len(SIX_FIELDS): SIX_FIELDS, len(FIVE_FIELDS): FIVE_FIELDS}.get(len(fields))
    if specs is None:
        _refuse_count(fields)
    hashed = name_hash(job_name)
    plain = [_plain_field(fields, position, spec, hashed) for position, spec in enumerate(specs)]
    return plain if specs is SIX_FIELDS else ["0", *plain]


def _plain_field(fields: list[str], position: int, spec: Field, hashed: int) -> str:
    try:
        return plain_text(spec, fields[position], name_hash=hashed)
    except ExpressionError as problem:
        whole = " ".join([*fields[:position], problem.example, *fields[position + 1 :]])
        raise ExpressionError(
            field=problem.field, value=problem.value, reason=problem.reason, example=_sound(whole)
        ) from None


def _sound(example: str) -> str:
    """The corrected text when it is right as a whole, else one that surely is."""
    try:
        return _parsed(example, "UTC", "").expression
    except ExpressionError:
        return _EXAMPLE


def _refuse_count(fields: list[str]) -> NoReturn:
    count = f"has {len(fields)} fields" if fields else "is empty"
    reason = f"{count}; cron has five (minute, hour, day of month, month, day of week) or six with seconds first"
    raise ExpressionError(field="expression", value=" ".join(fields), reason=reason, example=_EXAMPLE)
