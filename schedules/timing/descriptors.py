"""Texts that begin with "@": Dkron's names for common expressions, intervals and single instants."""

import difflib
import re
from datetime import UTC, datetime, timedelta

from schedules.timing.cronfields import SHORTHANDS
from schedules.timing.durations import duration_seconds
from schedules.timing.errors import ExpressionError
from schedules.timing.rules import IntervalRule, ManualRule, OnceRule, Rule
from schedules.timing.spans import EPOCH

_EXAMPLES = {"@every": "@every 1h30m", "@at": "@at 2026-03-01T02:00:00Z", "@reboot": "@hourly"}
_NAMES = ["@manually", "@every", "@at", *SHORTHANDS]
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?(Z|([+-])(\d{2}):(\d{2}))", re.ASCII | re.IGNORECASE
)


def descriptor_rule(text: str, *, timezone: str) -> Rule:
    """The rule of "@manually", "@every …" or "@at …". `@every` is not anchored yet."""
    name, _, argument = text.partition(" ")
    if text == "@manually":
        return ManualRule(expression=text, timezone=timezone)
    if name == "@every" and argument:
        seconds = duration_seconds(argument)
        return IntervalRule(expression=text, timezone=timezone, seconds=seconds, anchor=EPOCH)
    if name == "@at" and argument:
        return OnceRule(expression=text, timezone=timezone, run_at=_instant(argument))
    raise _refusal(text, name, argument)


def _refusal(text: str, name: str, argument: str) -> ExpressionError:
    if name == "@reboot":
        reason = "there is no boot to wait for"
    elif name in {"@every", "@at"}:
        reason = "needs a duration" if name == "@every" else "needs an instant"
    elif name in _NAMES and argument:
        return _problem(text, "takes nothing after it", name)
    else:
        reason = "is not a known descriptor"
    nearest = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.5)
    example = _EXAMPLES.get(name) or (_EXAMPLES.get(nearest[0], nearest[0]) if nearest else "@daily")
    return _problem(text, reason, example)


def _instant(text: str) -> datetime:
    """RFC 3339, as Go reads it: with an offset, without a leap second."""
    match = _RFC3339.fullmatch(text)
    if match is None and _RFC3339.fullmatch(f"{text}Z"):
        _instant(f"{text}Z")  # a 30 February is refused as such: with an offset it is no more right
        raise _problem(text, "has no offset (Z or +08:00)", f"@at {text}Z")
    if match is None:
        raise _problem(text, "is not an RFC 3339 instant", _EXAMPLES["@at"])
    try:
        local = datetime.fromisoformat(match[1].upper()).replace(tzinfo=UTC)
        return local + _fraction(match[2]) - _offset(match)
    except (ValueError, OverflowError):
        reason = "is not an instant that a calendar and a clock can show"
        raise _problem(text, reason, _EXAMPLES["@at"]) from None


def _fraction(text: str | None) -> timedelta:
    return timedelta(microseconds=int(text[1:7].ljust(6, "0"))) if text else timedelta()


def _offset(match: re.Match[str]) -> timedelta:
    if match[4] is None:
        return timedelta()
    hours, minutes = int(match[5]), int(match[6])
    if hours >= 24 or minutes >= 60:  # noqa: PLR2004 — of a day and of an hour
        raise ValueError(match[3])
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if match[4] == "+" else -offset


def _problem(text: str, reason: str, example: str) -> ExpressionError:
    return ExpressionError(field="expression", value=text, reason=reason, example=example)
