"""A cron text as its six fields: plain text and sets, for computing and for describing alike."""

from dataclasses import dataclass
from typing import NoReturn

from schedules.timing.errors import ExpressionError
from schedules.timing.expansion import Expansion, expand
from schedules.timing.fields import (
    FIVE_FIELDS,
    SIX_FIELDS,
    Field,
    is_unrestricted,
    name_hash,
    plain_text,
    recurs,
)

EXAMPLE = "0 2 * * *"
SHORTHANDS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@minutely": "0 * * * * *",
}
_HOURS = 24


@dataclass(frozen=True, kw_only=True)
class CronFields:
    """The sets, and what only the text tells: a star is not the same as a full list."""

    sets: Expansion
    any_day: bool
    any_weekday: bool
    recurs_in_hour: bool

    @property
    def days(self) -> frozenset[int] | None:
        return None if self.any_day else self.sets.days

    @property
    def weekdays(self) -> frozenset[int] | None:
        return None if self.any_weekday else self.sets.weekdays

    @property
    def every_hour(self) -> bool:
        return len(self.sets.hours) == _HOURS


def cron_fields(text: str, *, job_name: str) -> CronFields:
    """`text` has five fields or six, or is one of SHORTHANDS. An error's example has the first fault mended only."""
    second, minute, hour, day, month, weekday = _plain_fields(SHORTHANDS.get(text, text).split(), job_name)
    sets = expand([second, minute, hour, day, month, weekday])
    return CronFields(
        sets=sets,
        any_day=is_unrestricted(day),
        any_weekday=is_unrestricted(weekday),
        recurs_in_hour=_recurs(second, sets.seconds) or _recurs(minute, sets.minutes),
    )


def _recurs(text: str, values: frozenset[int]) -> bool:
    # "59/15" is minute 59 and nothing else: a fixed time, whatever sign it is written with.
    return recurs(text) and len(values) > 1


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
        raise ExpressionError(field=problem.field, value=problem.value, reason=problem.reason, example=whole) from None


def _refuse_count(fields: list[str]) -> NoReturn:
    count = {0: "is empty", 1: "has 1 field"}.get(len(fields), f"has {len(fields)} fields")
    reason = f"{count}; cron has five (minute, hour, day of month, month, day of week) or six with seconds first"
    raise ExpressionError(field="expression", value=" ".join(fields), reason=reason, example=EXAMPLE)
