"""The fields of a cron expression: what may stand in each, checked before croniter sees it.

croniter reads more than crontab and Dkron do, and some of it differently: "22-5" wraps around, "1-1"
is every day, `L`, `W`, `#`, `h` and `r` mean something. So each field is checked here, by Dkron's
grammar, and handed on in the plain forms that have one meaning: `*`, numbers, rising ranges, steps.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from schedules.timing.errors import ExpressionError


def _numbered(names: str, *, first: int) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(names.split(), start=first)}


@dataclass(frozen=True, kw_only=True)
class Field:
    """`modulus` and `base` place Dkron's `~`: hash of the job's name % modulus + base."""

    name: str
    low: int
    high: int
    modulus: int
    base: int = 0
    names: Mapping[str, int] = field(default_factory=dict)


SECOND = Field(name="second", low=0, high=59, modulus=60)
MINUTE = Field(name="minute", low=0, high=59, modulus=60)
HOUR = Field(name="hour", low=0, high=23, modulus=24)
# Not 31: a hashed job has to run in every month.
DAY = Field(name="day of month", low=1, high=31, modulus=28, base=1)
_MONTHS = _numbered("jan feb mar apr may jun jul aug sep oct nov dec", first=1)
MONTH = Field(name="month", low=1, high=12, modulus=12, base=1, names=_MONTHS)
_WEEKDAYS = _numbered("sun mon tue wed thu fri sat", first=0)
WEEKDAY = Field(name="day of week", low=0, high=6, modulus=7, names=_WEEKDAYS)
# crontab(5) counts Sunday as 0 and as 7; Dkron, whose expressions have six fields, only as 0.
WEEKDAY_OF_CRONTAB = replace(WEEKDAY, high=7)

SIX_FIELDS = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)
FIVE_FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY_OF_CRONTAB)

_TERM = re.compile(r"(\*|\?|[0-9]+|[a-z]+)(?:-([0-9]+|[a-z]+))?(?:/([0-9]+))?", re.ASCII | re.IGNORECASE)
_FOREIGN = {
    "#": 'the n-th weekday of a month ("#") is not supported',
    "W": 'the nearest working day ("W") is not supported',
    "L": 'the last day ("L") is not supported',
}


def name_hash(job_name: str) -> int:
    """Dkron's hash of a job's name: the sum of its code points."""
    return sum(map(ord, job_name))


def plain_text(spec: Field, text: str, *, name_hash: int) -> str:
    """The field in the forms that croniter reads in one way. The error's example is the corrected field."""
    hashed = text.replace("~", str(name_hash % spec.modulus + spec.base))
    terms = hashed.split(",")
    plain = []
    for position, term in enumerate(terms):
        try:
            plain.append(_plain_term(spec, term))
        except _TermError as problem:
            example = ",".join([*terms[:position], problem.correction, *terms[position + 1 :]])
            raise ExpressionError(field=spec.name, value=term, reason=problem.reason, example=example) from None
    return ",".join(plain)


def is_unrestricted(text: str) -> bool:
    """crontab(5)'s star: `*`, `?` and `*/1` restrict nothing, `*/2` does (as in Dkron)."""
    return any(re.fullmatch(r"[*?](/0*1)?", term) for term in text.split(","))


def recurs(text: str) -> bool:
    """Written as "every n": `*`, `*/15`, `5/15`; not a list of fixed values."""
    return any(mark in text for mark in "*?/")


class _TermError(Exception):
    def __init__(self, reason: str, correction: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.correction = correction


def _plain_term(spec: Field, term: str) -> str:
    match = _TERM.fullmatch(term)
    if match is None or (match[1] in "*?" and match[2]):
        _refuse_form(spec, term)
    step = _step(match[3])
    if match[1] in "*?":
        return f"*{step}"
    low = _number(spec, match[1])
    high = _number(spec, match[2]) if match[2] else low
    if high < low:
        _refuse_reversed(spec, low, high)
    if high > WEEKDAY.high and spec is WEEKDAY_OF_CRONTAB:
        return ",".join(str(day % 7) for day in range(low, high + 1, int(step[1:] or 1)))
    # croniter takes "1-1" for the whole field.
    return f"{low}-{high}{step}" if high > low else f"{low}{'' if match[2] else step}"


def _step(text: str | None) -> str:
    if text is None:
        return ""
    if int(text) == 0:
        raise _TermError("a step has to be 1 or more", "*/1")
    return f"/{int(text)}"


def _number(spec: Field, text: str) -> int:
    number = int(text) if text.isdigit() else spec.names.get(text.lower())
    if number is None:
        _refuse_form(spec, text)
    if not spec.low <= number <= spec.high:
        raise _out_of_range(spec, number)
    return number


def _out_of_range(spec: Field, number: int) -> _TermError:
    if spec is WEEKDAY and number == WEEKDAY_OF_CRONTAB.high:
        return _TermError("has to be between 0 and 6; with six fields Sunday is 0", "0")
    nearest = spec.low if number < spec.low else spec.high
    return _TermError(f"has to be between {spec.low} and {spec.high}", str(nearest))


def _refuse_reversed(spec: Field, low: int, high: int) -> NoReturn:
    wrapped = ",".join(_range_text(*pair) for pair in ((low, spec.high), (spec.low, high)))
    raise _TermError("the range ends before it begins", wrapped)


def _range_text(low: int, high: int) -> str:
    return f"{low}-{high}" if high > low else str(low)


def _refuse_form(spec: Field, term: str) -> NoReturn:
    if spec.name in {DAY.name, WEEKDAY.name}:
        for sign, reason in _FOREIGN.items():
            if sign in term.upper() and term.lower() not in _WEEKDAYS:
                # The 28th is the last day that every month has.
                raise _TermError(reason, "28" if sign == "L" and spec is DAY else str(spec.low))
    known = f", a name ({', '.join(list(spec.names)[:2])}, …)" if spec.names else ""
    raise _TermError(f"is not a number{known}, a range (a-b), a list (a,b) or a step (*/n)", str(spec.low))
