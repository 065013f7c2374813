"""The phrases that a description is put together from, in each language."""

from collections.abc import Sequence
from typing import Literal, Protocol

from schedules.timing.blackoutlines import MonthDay

Unit = Literal["second", "minute", "hour"]


class Words(Protocol):
    """Days of the week count from Sunday = 0; clock times come as text."""

    comma: str

    def sentence(self, text: str) -> str: ...
    def every(self, count: int, unit: Unit) -> str: ...
    def every_span(self, parts: Sequence[tuple[int, Unit]]) -> str: ...
    def at_clock(self, times: Sequence[str]) -> str: ...
    def within(self, unit: Unit, values: Sequence[int]) -> str: ...
    def from_to(self, frequency: str, first: str, last: str) -> str: ...
    def on_days_at(self, days: str, times: str) -> str: ...
    def every_day(self, months: Sequence[int]) -> str: ...
    def weekdays(self, days: Sequence[int], months: Sequence[int]) -> str: ...
    def month_days(self, days: Sequence[int], months: Sequence[int]) -> str: ...
    def either(self, month_days: str, weekdays: str) -> str: ...
    def whole_days(self, days: str) -> str: ...
    def hours(self, days: str, start: str, end: str, *, overnight: bool) -> str: ...
    def dates(self, first: str, last: str) -> str: ...
    def yearly(self, first: MonthDay, last: MonthDay) -> str: ...
    def from_time_to_time(self, start: str, end: str) -> str: ...
    def manual(self) -> str: ...
    def once(self, day: str, time: str) -> str: ...
    def hashed(self, expression: str) -> str: ...
    def never(self, sentence: str) -> str: ...
    def bad(self, expression: str, problem: str) -> str: ...


class English:
    """English phrases."""

    comma = ", "
    _days = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
    _months = (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    )

    def sentence(self, text: str) -> str:
        return text[:1].upper() + text[1:]

    def every(self, count: int, unit: Unit) -> str:
        return f"every {unit}" if count == 1 else f"every {count} {unit}s"

    def every_span(self, parts: Sequence[tuple[int, Unit]]) -> str:
        if len(parts) == 1:
            return self.every(*parts[0])
        return "every " + " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts)

    def at_clock(self, times: Sequence[str]) -> str:
        return f"at {_and(times)}"

    def within(self, unit: Unit, values: Sequence[int]) -> str:
        return f"at {unit}{'' if len(values) == 1 else 's'} {_and(values)}"

    def from_to(self, frequency: str, first: str, last: str) -> str:
        return f"{frequency} from {first} to {last}"

    def on_days_at(self, days: str, times: str) -> str:
        return f"{days} {times}"

    def every_day(self, months: Sequence[int]) -> str:
        return f"every day{self._in(months)}"

    def weekdays(self, days: Sequence[int], months: Sequence[int]) -> str:
        known = {(1, 2, 3, 4, 5): "every weekday", (0, 6): "every Saturday and Sunday"}
        named = known.get(tuple(days)) or f"every {_and([self._days[day] for day in days])}"
        return f"{named}{self._in(months)}"

    def month_days(self, days: Sequence[int], months: Sequence[int]) -> str:
        of = f"of {_and([self._months[month - 1] for month in months])}" if months else "of every month"
        return f"on the {_and([_ordinal(day) for day in days])} {of}"

    def either(self, month_days: str, weekdays: str) -> str:
        return f"{month_days} and also {weekdays}"

    def whole_days(self, days: str) -> str:
        return f"{days}, all day"

    def hours(self, days: str, start: str, end: str, *, overnight: bool) -> str:
        return f"{days} from {start} to {end}{' the next day' if overnight else ''}"

    def dates(self, first: str, last: str) -> str:
        return f"on {first}, all day" if first == last else f"from {first} through {last}"

    def yearly(self, first: MonthDay, last: MonthDay) -> str:
        if first == last:
            return f"every year on {self._date(first)}, all day"
        return f"every year from {self._date(first)} through {self._date(last)}"

    def from_time_to_time(self, start: str, end: str) -> str:
        return f"from {start} to {end}"

    def manual(self) -> str:
        return "only when started by hand"

    def once(self, day: str, time: str) -> str:
        return f"once, on {day} at {time}"

    def hashed(self, expression: str) -> str:
        return f"at times set by the job's name ({expression})"

    def never(self, sentence: str) -> str:
        return f"{sentence} (a date that never comes)"

    def bad(self, expression: str, problem: str) -> str:
        return f"{expression} (not valid: {problem})"

    def _date(self, date: MonthDay) -> str:
        return f"{date.day} {self._months[date.month - 1]}"

    def _in(self, months: Sequence[int]) -> str:
        return f" in {_and([self._months[month - 1] for month in months])}" if months else ""


class Chinese:
    """Chinese phrases."""

    comma = "，"
    _days = "日一二三四五六"
    _units = {"second": "秒", "minute": "分钟", "hour": "小时"}  # noqa: RUF012 — a table, never changed
    _marks = {"second": "秒", "minute": "分", "hour": "点"}  # noqa: RUF012 — the same

    def sentence(self, text: str) -> str:
        return text

    def every(self, count: int, unit: Unit) -> str:
        return f"每{self._units[unit]}" if count == 1 else f"每 {count} {self._units[unit]}"

    def every_span(self, parts: Sequence[tuple[int, Unit]]) -> str:
        if len(parts) == 1:
            return self.every(*parts[0])
        return "每 " + " ".join(f"{count} {self._units[unit]}" for count, unit in parts)

    def at_clock(self, times: Sequence[str]) -> str:
        return "、".join(times)

    def within(self, unit: Unit, values: Sequence[int]) -> str:
        prefix = "" if unit == "hour" else "第 "
        return f"{prefix}{'、'.join(map(str, values))} {self._marks[unit]}"

    def from_to(self, frequency: str, first: str, last: str) -> str:
        return f"{first} 至 {last} {frequency}"

    def on_days_at(self, days: str, times: str) -> str:
        return f"{days} {times}"

    def every_day(self, months: Sequence[int]) -> str:
        return f"{self._of_year(months)}每天"

    def weekdays(self, days: Sequence[int], months: Sequence[int]) -> str:
        if tuple(days) == (1, 2, 3, 4, 5):
            return f"{self._of_year(months)}每个工作日"
        # Monday comes first in a Chinese week.
        ordered = sorted(days, key=lambda day: day or 7)
        return f"{self._of_year(months)}每" + "、".join(f"周{self._days[day]}" for day in ordered)

    def month_days(self, days: Sequence[int], months: Sequence[int]) -> str:
        return f"{self._of_year(months) or '每月 '}{'、'.join(map(str, days))} 日"

    def either(self, month_days: str, weekdays: str) -> str:
        return f"{month_days}以及{weekdays}"

    def whole_days(self, days: str) -> str:
        return f"{days}全天"

    def hours(self, days: str, start: str, end: str, *, overnight: bool) -> str:
        return f"{days} {start} 至{'次日' if overnight else ''} {end}"

    def dates(self, first: str, last: str) -> str:
        return f"{first} 全天" if first == last else f"{first} 至 {last}（含）"

    def yearly(self, first: MonthDay, last: MonthDay) -> str:
        if first == last:
            return f"每年 {self._date(first)}全天"
        return f"每年 {self._date(first)}至{'次年' if last < first else ''} {self._date(last)}（含）"

    def from_time_to_time(self, start: str, end: str) -> str:
        return f"{start} 至 {end}"

    def manual(self) -> str:
        return "仅手动运行"

    def once(self, day: str, time: str) -> str:
        return f"仅一次：{day} {time}"

    def hashed(self, expression: str) -> str:
        return f"时间由任务名决定（{expression}）"

    def never(self, sentence: str) -> str:
        return f"{sentence}（该日期不存在）"

    def bad(self, expression: str, problem: str) -> str:
        return f"{expression}（无效：{problem}）"

    def _date(self, date: MonthDay) -> str:
        return f"{date.month} 月 {date.day} 日"

    def _of_year(self, months: Sequence[int]) -> str:
        return f"每年 {'、'.join(map(str, months))} 月 " if months else ""


def _and(items: Sequence[object]) -> str:
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _ordinal(number: int) -> str:
    teens = range(11, 14)
    ending = "th" if number in teens else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
