"""From the text of one line of a blackout calendar to the windows that it stands for."""

import difflib
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date

from schedules.timing.blackoutlines import DAY, EPOCH_DAY, FIRST_YEAR, LAST_YEAR, Dated, Line, MonthDay, Weekly, Yearly
from schedules.timing.errors import ExpressionError
from schedules.timing.fields import WEEKDAY

_DATE, _TIME, _MONTH_DAY = r"\d{4}-\d{2}-\d{2}", r"\d{2}:\d{2}", r"\d{2}-\d{2}"
_NAMES = r"[a-z]+(?:-[a-z]+)?(?:,[a-z]+(?:-[a-z]+)?)*"
_FLAGS = re.ASCII | re.IGNORECASE
_EVERY_DAY = frozenset(range(7))
_LEAP_YEAR = 2024  # 29 February is a day of the year
_HOURS, _MINUTES = 24, 60
_LAST_MINUTE = "23:59"

# What people write instead, and what they mean by it; tried on a line that no form fits.
_REPAIRS = (
    (r"\b(\d:\d{2})", r"0\1"),
    (r"(\d)/(?=\d)", r"\1-"),
    (r"\s*(?:\.{2,}|…)\s*", ".."),
    (r"\s*(?:[,;]|\band\b)\s*", ","),
    (r"\s*(?:[-–—]|\bto\b|\buntil\b)\s*", "-"),
    (rf"({_DATE})\s({_TIME})", r"\1T\2"),
    (rf"({_DATE}(?:T{_TIME})?)-(?=\d{{4}}-)", r"\1.."),
    (rf"^({_MONTH_DAY})-({_MONTH_DAY})$", r"\1..\2"),
)
_MOST_FAULTS = 4  # a line has two ends, each of which can be wrong in two ways


class _ProblemError(Exception):
    """`right` is what should stand in the place of `wrong`."""

    def __init__(self, reason: str, wrong: str, right: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wrong = wrong
        self.right = right


def parse_line(text: str) -> Line:
    """The windows of one line without its comment; ExpressionError (field "windows") says what is wrong with it."""
    line = " ".join(text.split())
    try:
        return _read(line)
    except _ProblemError as problem:
        example = _corrected(line, problem)
        raise ExpressionError(field="windows", value=line, reason=problem.reason, example=example) from None


def _read(line: str) -> Line:
    for form, read in _FORMS:
        if match := form.fullmatch(line):
            return read(line, match)
    repaired = line
    for wrong, right in _REPAIRS:
        repaired = re.sub(wrong, right, repaired, flags=_FLAGS)
    reason = (
        "is no day (2026-12-24, or 12-24 of every year), weekday (mon-fri), hours (22:00-06:00) or range of days (a..b)"
    )
    raise _ProblemError(reason, line, repaired)


def _corrected(line: str, problem: _ProblemError) -> str:
    """The line with its faults mended, else one of its kind that surely is right."""
    for _ in range(_MOST_FAULTS):
        line = line.replace(problem.wrong, problem.right)
        try:
            return _read(line).text
        except _ProblemError as another:
            problem = another
    if ":" in line:
        return "mon-fri 22:00-06:00"
    return "sat,sun" if re.search("[a-z]", line, _FLAGS) else "2026-12-24..2026-12-26"


def _dated(line: str, match: re.Match[str]) -> Line:
    first, begins, last, ends = match.groups()
    if begins is None and ends is None:
        return _dates(line, first, last or first)
    if begins is None or ends is None:
        right = f"{first}T{begins or '00:00'}..{last or first}T{ends or '24:00'}"
        raise _ProblemError("needs a time at both ends", line, right)
    start = _date(first) * DAY + _time(begins)
    end = _date(last) * DAY + _time(ends, last="24:00")
    if end <= start:
        raise _ProblemError("has to end after it begins", line, f"{last}T{ends}..{first}T{begins}")
    return Dated(text=line, start=start, end=end, whole_days=False)


def _dates(line: str, first: str, last: str) -> Line:
    if _date(last) < _date(first):
        raise _ProblemError("ends before it begins", line, f"{last}..{first}")
    return Dated(text=line, start=_date(first) * DAY, end=(_date(last) + 1) * DAY, whole_days=True)


def _yearly(line: str, match: re.Match[str]) -> Line:
    return Yearly(text=line, first=_month_day(match[1]), last=_month_day(match[2] or match[1]))


def _weekly(line: str, match: re.Match[str]) -> Line:
    names, begins, ends = match["names"], match["begins"] or match["from"], match["ends"] or match["to"]
    weekdays = _weekdays(names) if names else _EVERY_DAY
    if begins is None:
        return Weekly(text=line, weekdays=weekdays, start=0, end=DAY)
    start, end = _time(begins), _time(ends, last="24:00")
    if start == end:
        raise _ProblemError("ends at the time at which it begins", line, names or "00:00-24:00")
    return Weekly(text=line, weekdays=weekdays, start=start, end=end if end > start else end + DAY)


def _date(text: str) -> int:
    """Days since the epoch."""
    year, month, day = map(int, text.split("-"))
    if not FIRST_YEAR <= year <= LAST_YEAR:
        nearest = min(max(year, FIRST_YEAR), LAST_YEAR)
        raise _ProblemError(f"the year has to be between {FIRST_YEAR} and {LAST_YEAR}", text, f"{nearest}{text[4:]}")
    month, day = _checked(text, year, month, day, prefix=f"{year:04}-")
    return date(year, month, day).toordinal() - EPOCH_DAY


def _month_day(text: str) -> MonthDay:
    month, day = map(int, text.split("-"))
    return MonthDay(*_checked(text, _LEAP_YEAR, month, day))


def _checked(text: str, year: int, month: int, day: int, *, prefix: str = "") -> tuple[int, int]:
    """Month and day as they are, if the year has them."""
    near_month = min(max(month, 1), 12)
    near_day = min(max(day, 1), monthrange(year, near_month)[1])
    if (month, day) != (near_month, near_day):
        raise _ProblemError(f"the calendar has no {text}", text, f"{prefix}{near_month:02}-{near_day:02}")
    return month, day


def _time(text: str, *, last: str = _LAST_MINUTE) -> int:
    """Seconds of the day, up to `last`."""
    hour, minute = map(int, text.split(":"))
    if text > last or minute >= _MINUTES:
        nearest = f"{min(hour, _HOURS - 1):02}:{min(minute, _MINUTES - 1):02}" if hour < _HOURS else last
        raise _ProblemError(f"the clock shows no {text} there", text, nearest)
    return hour * 3600 + minute * 60


def _weekdays(names: str) -> frozenset[int]:
    """Numbers from Sunday = 0; a range may go over the week's end."""
    known = re.sub("[a-z]+", _nearest_name, names.lower())
    if known != names.lower():
        raise _ProblemError("weekdays are written sun, mon, tue, wed, thu, fri and sat", names, known)
    days: set[int] = set()
    for term in known.split(","):
        first, last = (WEEKDAY.names[name] for name in (term[:3], term[-3:]))
        days.update(day % 7 for day in range(first, last + 1 if last >= first else last + 8))
    return frozenset(days)


def _nearest_name(match: re.Match[str]) -> str:
    return next(iter(difflib.get_close_matches(match[0][:3], WEEKDAY.names, n=1, cutoff=0.5)), "mon")


_Reader = Callable[[str, re.Match[str]], Line]
_FORMS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (re.compile(rf"({_DATE})(?:T({_TIME}))?(?:\.\.({_DATE})(?:T({_TIME}))?)?", _FLAGS), _dated),
    (re.compile(rf"({_MONTH_DAY})(?:\.\.({_MONTH_DAY}))?", _FLAGS), _yearly),
    (
        re.compile(
            rf"(?P<names>{_NAMES})(?: (?P<begins>{_TIME})-(?P<ends>{_TIME}))?|(?P<from>{_TIME})-(?P<to>{_TIME})", _FLAGS
        ),
        _weekly,
    ),
)
