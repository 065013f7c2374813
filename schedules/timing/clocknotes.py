"""What a clock change does to fires: which of them were moved, and which stand in an hour that comes twice."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from schedules.timing.bounds import BoundedRule
from schedules.timing.localtimes import DAY
from schedules.timing.rules import CronRule, Rule
from schedules.timing.spans import EPOCH, Span, seconds_of, spans_between
from schedules.timing.zones import check_timezone

#: `moved`: the times it stands for do not exist. The others come twice that day: it fires the first time `only`, or in
#: both passes, of which this is the `first` or the `second`.
NoteKind = Literal["moved", "only", "first", "second"]

NAMED = 3  # of a hundred missing times so many are named


@dataclass(frozen=True, kw_only=True)
class ClockNote:
    """One fire and a clock change.

    `local` is what the clock on the wall shows at the fire (naive); `missing` the first of the times that do not exist
    and that it stands for (naive), `count` how many there are. Both are empty unless it was moved.
    """

    kind: NoteKind
    local: datetime
    missing: tuple[datetime, ...] = ()
    count: int = 0

    @property
    def en(self) -> str:
        if self.kind == "moved":
            does, fires = ("does", "fires") if self.count == 1 else ("do", "one fire")
            that_day = "" if self._other_day else " that day"
            return f"{self._missing_en()} {does} not exist{that_day}: {fires} at {self._clock(self.local)}"
        order = {"only": "fires the first time only", "first": "this is the first", "second": "this is the second"}
        return f"{self._clock(self.local)} comes twice that day: {order[self.kind]}"

    @property
    def zh(self) -> str:
        if self.kind == "moved":
            once = "" if self.count == 1 else "合并为一次，"
            that_day = "" if self._other_day else "当天"
            return f"{that_day}没有 {self._missing_zh()}：{once}在 {self._clock(self.local)} 触发"
        order = {"only": "只在第一次触发", "first": "这是第一次", "second": "这是第二次"}
        return f"当天 {self._clock(self.local)} 出现两次：{order[self.kind]}"

    def _missing_en(self) -> str:
        texts = [self._clock(each) for each in self.missing]
        if more := self.count - len(texts):
            texts.append(f"{more:,} more")
        return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"

    def _missing_zh(self) -> str:
        texts = "、".join(self._clock(each) for each in self.missing)
        return texts if self.count == len(self.missing) else f"{texts} 等 {self.count} 个时间"

    @property
    def _other_day(self) -> bool:
        """A whole day is missing, or the gap is around midnight."""
        return any(each.date() != self.local.date() for each in self.missing)

    def _clock(self, local: datetime) -> str:
        seconds = any(each.second for each in (self.local, *self.missing))
        time = local.strftime("%H:%M:%S" if seconds else "%H:%M")
        return f"{local.date().isoformat()} {time}" if self._other_day else time


def clock_notes(rule: Rule, fires: Sequence[datetime]) -> dict[datetime, ClockNote]:
    """The notes of those of `fires` (in UTC, in order) that a clock change moved or repeats.

    Only a cron rule has any: an interval counts elapsed time, and a single instant is what it is.
    """
    while isinstance(rule, BoundedRule):
        rule = rule.rule
    if not isinstance(rule, CronRule) or not fires:
        return {}
    zone = check_timezone(rule.timezone)
    first, last = seconds_of(fires[0]), seconds_of(fires[-1])
    notes: dict[datetime, ClockNote] = {}
    # The borders a day around: no clock was ever set by more.
    for span in spans_between(zone, first - DAY - 1, last + DAY):
        if span.offset > span.before:
            notes.update(_moved(rule, span, fires))
        elif span.offset < span.before:
            notes.update(_repeated(rule, span, fires))
    return notes


def _moved(rule: CronRule, span: Span, fires: Sequence[datetime]) -> Iterator[tuple[datetime, ClockNote]]:
    at = _utc(span.start)
    if not rule.catches_up or not _between(fires, at, at + timedelta(seconds=1)):
        return
    times = rule.times.between(span.start + span.before, span.start + span.offset)
    missing = tuple(_naive(second) for second in islice(times, NAMED))
    if missing:
        count = len(missing) + sum(1 for _ in times)
        yield at, ClockNote(kind="moved", local=_naive(span.start + span.offset), missing=missing, count=count)


def _repeated(rule: CronRule, span: Span, fires: Sequence[datetime]) -> Iterator[tuple[datetime, ClockNote]]:
    border, length = _utc(span.start), timedelta(seconds=span.before - span.offset)
    before: NoteKind = "first" if rule.repeats else "only"
    for fire in _between(fires, border - length, border):
        yield fire, ClockNote(kind=before, local=_naive(seconds_of(fire) + span.before))
    if rule.repeats:
        for fire in _between(fires, border, border + length):
            yield fire, ClockNote(kind="second", local=_naive(seconds_of(fire) + span.offset))


def _between(fires: Sequence[datetime], low: datetime, high: datetime) -> Sequence[datetime]:
    return fires[bisect_left(fires, low) : bisect_left(fires, high)]


def _utc(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def _naive(second: int) -> datetime:
    return _utc(second).replace(tzinfo=None)
