"""A schedule in words: "Every weekday at 02:00, Asia/Shanghai"."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal

from schedules.timing.cronfields import CronFields, cron_fields
from schedules.timing.errors import ExpressionError
from schedules.timing.parsing import parse
from schedules.timing.rules import CronRule, IntervalRule, OnceRule, Rule
from schedules.timing.words import Chinese, English, Unit, Words
from schedules.timing.zones import check_timezone

Language = Literal["en", "zh"]

WORDS: dict[str, Words] = {"en": English(), "zh": Chinese()}
_LISTED_TIMES = 6  # more clock times than these are described by their rhythm
_SHOWN = 80
_FULL: dict[Unit, int] = {"second": 60, "minute": 60, "hour": 24}
_MONTHS = 12
_EVERY_WEEKDAY = frozenset(range(7))


def describe(expression: str, *, timezone: str = "UTC", language: Language = "en", job_name: str = "") -> str:
    """The schedule in words, with its zone. Never raises: a bad text comes back with its problem."""
    return _described(expression, timezone, language, job_name if "~" in expression else "")


@lru_cache(maxsize=4096)
def _described(expression: str, timezone: str, language: Language, job_name: str) -> str:
    words = WORDS.get(language, WORDS["en"])
    text = " ".join(expression.split())
    try:
        rule = parse(expression, timezone=timezone, job_name=job_name)
        if "~" in rule.expression and not job_name:
            phrase = words.hashed(rule.expression)
        else:
            phrase = _phrase(rule, job_name, words)
    except ExpressionError as problem:
        return words.bad(shortened(text), str(problem))
    zone = "" if rule.kind in {"manual", "interval"} else f"{words.comma}{rule.timezone}"
    return words.sentence(f"{phrase}{zone}")


def shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _phrase(rule: Rule, job_name: str, words: Words) -> str:
    if isinstance(rule, CronRule):
        phrase = _cron_phrase(cron_fields(rule.expression, job_name=job_name), words)
        return phrase if rule.ever else words.never(phrase)
    if isinstance(rule, IntervalRule):
        return words.every_span(_parts(rule.seconds))
    if isinstance(rule, OnceRule):
        return words.once(*_local_texts(rule))
    return words.manual()


def _parts(seconds: int) -> list[tuple[int, Unit]]:
    """Hours, not days: an interval counts elapsed time, and a day can have 23 or 25 hours."""
    parts: list[tuple[int, Unit]] = [
        (seconds // 3600, "hour"),
        (seconds // 60 % 60, "minute"),
        (seconds % 60, "second"),
    ]
    return [part for part in parts if part[0]]


def _local_texts(rule: OnceRule) -> tuple[str, str]:
    local = _local(rule)
    time = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    return local.date().isoformat(), time


def _local(rule: OnceRule) -> datetime:
    try:
        return rule.run_at.astimezone(check_timezone(rule.timezone))
    except OverflowError:  # the last hours of the year 9999, or the first of year 1
        return rule.run_at


def _cron_phrase(fields: CronFields, words: Words) -> str:
    days = _days(fields, words)
    clock = _clock_times(fields)
    if clock:
        return words.on_days_at(days, words.at_clock(clock))
    rhythm = _rhythm(fields, words)
    return rhythm if days == words.every_day([]) else f"{rhythm}{words.comma}{days}"


def _clock_times(fields: CronFields) -> list[str]:
    """All times of a day as "02:00", or none when they are many or regular enough for a rhythm."""
    sets = fields.sets
    count = len(sets.hours) * len(sets.minutes) * len(sets.seconds)
    if count > _LISTED_TIMES or (len(sets.minutes) == 1 and _step(sets.hours, "hour")):
        return []
    with_seconds = sets.seconds != {0}
    return [
        _clock(hour, minute) + (f":{second:02}" if with_seconds else "")
        for hour in sorted(sets.hours)
        for minute in sorted(sets.minutes)
        for second in sorted(sets.seconds)
    ]


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02}:{minute:02}"


def _rhythm(fields: CronFields, words: Words) -> str:
    """Such as "every 15 minutes from 09:00 to 17:59": the finest unit that recurs, then what narrows it."""
    seconds, minutes = fields.sets.seconds, fields.sets.minutes
    if seconds == {0}:
        return _minute_rhythm(fields, words)
    parts = [_every_or_at("second", seconds, words)]
    if len(minutes) < _FULL["minute"]:
        parts.append(_every_or_at("minute", minutes, words))
    if not fields.every_hour:
        parts.append(words.within("hour", sorted(fields.sets.hours)))
    elif len(minutes) == 1:
        parts.append(words.every(1, "hour"))
    return words.comma.join(parts)


def _minute_rhythm(fields: CronFields, words: Words) -> str:
    minutes, hours = fields.sets.minutes, fields.sets.hours
    if len(minutes) == 1:
        return _hour_rhythm(min(minutes), hours, words)
    frequency = _every_or_at("minute", minutes, words)
    if fields.every_hour:
        recurring = _step(minutes, "minute")
        return frequency if recurring else f"{words.every(1, 'hour')}{words.comma}{frequency}"
    if _is_range(hours):
        return words.from_to(frequency, _clock(min(hours), 0), _clock(max(hours), 59))
    return f"{frequency}{words.comma}{words.within('hour', sorted(hours))}"


def _hour_rhythm(minute: int, hours: frozenset[int], words: Words) -> str:
    step = _step(hours, "hour")
    if step:
        frequency = words.every(step, "hour")
        return frequency if minute == 0 else f"{frequency}{words.comma}{words.within('minute', [minute])}"
    if _is_range(hours):
        return words.from_to(words.every(1, "hour"), _clock(min(hours), minute), _clock(max(hours), minute))
    return words.at_clock([_clock(hour, minute) for hour in sorted(hours)])


def _every_or_at(unit: Unit, values: frozenset[int], words: Words) -> str:
    step = _step(values, unit)
    return words.every(step, unit) if step else words.within(unit, sorted(values))


def _step(values: frozenset[int], unit: Unit) -> int:
    """The n for which the values are 0, n, 2n, … and go on evenly into the next round; else 0."""
    full = _FULL[unit]
    step = full // len(values)
    return step if len(values) > 1 and values == set(range(0, full, step)) else 0


def _is_range(values: frozenset[int]) -> bool:
    return max(values) - min(values) + 1 == len(values)


def _days(fields: CronFields, words: Words) -> str:
    sets = fields.sets
    months: Sequence[int] = [] if len(sets.months) == _MONTHS else sorted(sets.months)
    phrases = []
    if fields.days is not None:
        phrases.append(words.month_days(sorted(fields.days), months))
    if fields.weekdays is not None:
        phrases.append(words.weekdays(sorted(fields.weekdays), months))
    if not phrases or fields.weekdays == _EVERY_WEEKDAY:
        return words.every_day(months)
    return words.either(*phrases) if len(phrases) > 1 else phrases[0]
