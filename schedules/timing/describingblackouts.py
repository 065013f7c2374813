"""A window of a blackout calendar in words: "Every weekday from 22:00 to 06:00 the next day"."""

from datetime import date

from schedules.timing.blackoutgrammar import parse_line
from schedules.timing.blackoutlines import DAY, EPOCH_DAY, Dated, Line, Weekly, Yearly
from schedules.timing.blackouts import Window
from schedules.timing.describing import WORDS, Language, shortened
from schedules.timing.errors import ExpressionError
from schedules.timing.words import Words


def describe_blackout(window: Window | str, *, language: Language = "en") -> str:
    """A line of a calendar, or the line that a window stems from, in words. Never raises: a bad text comes back
    with its problem.
    """
    words = WORDS.get(language, WORDS["en"])
    text = (window.text if isinstance(window, Window) else window).partition("#")[0].strip()
    try:
        return words.sentence(_phrase(parse_line(text), words))
    except ExpressionError as problem:
        return words.bad(shortened(" ".join(text.split())), str(problem))


def _phrase(line: Line, words: Words) -> str:
    if isinstance(line, Dated):
        return _dated_phrase(line, words)
    if isinstance(line, Yearly):
        return words.yearly(line.first, line.last)
    if isinstance(line, Weekly):
        return _weekly_phrase(line, words)
    return line.text


def _dated_phrase(line: Dated, words: Words) -> str:
    if line.whole_days:
        return words.dates(_date(line.start), _date(line.end - DAY))
    return words.from_time_to_time(*(f"{_date(second)} {_clock(second % DAY)}" for second in (line.start, line.end)))


def _weekly_phrase(line: Weekly, words: Words) -> str:
    days = words.every_day([]) if len(line.weekdays) == 7 else words.weekdays(sorted(line.weekdays), [])  # noqa: PLR2004
    if (line.start, line.end) == (0, DAY):
        return words.whole_days(days)
    overnight = line.end > DAY
    end = line.end - DAY if overnight else line.end
    return words.hours(days, _clock(line.start), _clock(end), overnight=overnight)


def _date(second: int) -> str:
    return date.fromordinal(second // DAY + EPOCH_DAY).isoformat()


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"
