"""Go's duration text, as Dkron's `@every` reads it: "1h30m", "1.5h", "90s", "-5m"."""

import re

from schedules.timing.errors import ExpressionError

_SECOND = 10**9
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # the micro sign
    "μs": 10**3,  # the Greek letter
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_LONGEST = 2**63 - 1  # Go counts nanoseconds in an int64: about 292 years
_PART = re.compile(r"(\d+)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)|\.(\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"[-+]?(?:0|(?:{_PART.pattern})+)", re.ASCII)


def duration_seconds(text: str) -> int:
    """Whole seconds of a Go duration, the fraction dropped, never less than 1: what Dkron does with it."""
    if not _WHOLE.fullmatch(text):
        raise _problem(text, "is not a duration of hours (h), minutes (m) and seconds (s)")
    nanoseconds = sum(_nanoseconds(part) for part in _PART.finditer(text))
    if nanoseconds > _LONGEST:
        raise _problem(text, "is longer than 292 years")
    return 1 if text.startswith("-") else max(1, nanoseconds // _SECOND)


def duration_text(seconds: int) -> str:
    """The shortest Go duration of whole seconds: 5400 is "1h30m"."""
    hours, rest = divmod(seconds, 3600)
    parts = ((hours, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


def _nanoseconds(part: re.Match[str]) -> int:
    whole, fraction, unit = part[1] or "0", part[2] or part[4] or "", _UNITS[part[3] or part[5]]
    return int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def _problem(text: str, reason: str) -> ExpressionError:
    return ExpressionError(field="interval", value=text, reason=reason, example="@every 1h30m")
