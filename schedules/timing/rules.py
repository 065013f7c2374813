"""What a schedule text becomes: a rule that answers "when next?". Rules are values, without state."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, NamedTuple
from zoneinfo import ZoneInfo

from schedules.timing.localtimes import LocalTimes
from schedules.timing.spans import EPOCH, Span, seconds_of, spans_back, spans_between
from schedules.timing.zones import check_timezone

Kind = Literal["manual", "cron", "interval", "once"]
SpansOf = Callable[[ZoneInfo, int, int], Iterator[Span]]

_SECOND = timedelta(seconds=1)
# The rarest date is 29 February, which a century without a leap year keeps away for eight years.
_HORIZON = timedelta(days=9 * 366) // _SECOND


def aware(moment: datetime) -> datetime:
    """The same instant in UTC. A naive datetime is an error: it names no instant."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """When a schedule fires.

    `expression` is the normalised text without its zone prefix, `timezone` the zone that counts; parsing
    the two again gives an equal rule (an interval needs its anchor, `~` its job's name too).
    """

    expression: str
    timezone: str

    @property
    @abstractmethod
    def kind(self) -> Kind: ...

    def next_after(self, moment: datetime) -> datetime | None:
        """The first fire strictly later than `moment`, in UTC; None when there is none any more."""
        return self._next(aware(moment))

    def fires(self, after: datetime, through: datetime) -> Iterator[datetime]:
        """All fires of (after, through], in order, in UTC; lazily."""
        return self._fires(aware(after), aware(through))

    def count(self, after: datetime, through: datetime) -> int:
        """How many fires (after, through] holds, by arithmetic: a long window costs no more than a short one."""
        return self._count(aware(after), aware(through))

    def last(self, after: datetime, through: datetime) -> datetime | None:
        """The last fire of (after, through], in UTC; None when it holds none."""
        return self._last(aware(after), aware(through))

    @abstractmethod
    def _next(self, moment: datetime) -> datetime | None: ...

    @abstractmethod
    def _count(self, after: datetime, through: datetime) -> int: ...

    @abstractmethod
    def _last(self, after: datetime, through: datetime) -> datetime | None: ...

    def _fires(self, after: datetime, through: datetime) -> Iterator[datetime]:
        moment = self._next(after)
        while moment is not None and moment <= through:
            yield moment
            moment = self._next(moment)


@dataclass(frozen=True, kw_only=True)
class ManualRule(Rule):
    """Never fires by itself."""

    kind: ClassVar[Kind] = "manual"

    def _next(self, moment: datetime) -> datetime | None:
        del moment
        return None

    def _count(self, after: datetime, through: datetime) -> int:
        del after, through
        return 0

    def _last(self, after: datetime, through: datetime) -> datetime | None:
        del after, through
        return None


@dataclass(frozen=True, kw_only=True)
class OnceRule(Rule):
    """Fires at one instant."""

    kind: ClassVar[Kind] = "once"
    run_at: datetime

    def _next(self, moment: datetime) -> datetime | None:
        return self.run_at if self.run_at > moment else None

    def _count(self, after: datetime, through: datetime) -> int:
        return int(after < self.run_at <= through)

    def _last(self, after: datetime, through: datetime) -> datetime | None:
        return self.run_at if after < self.run_at <= through else None


@dataclass(frozen=True, kw_only=True)
class IntervalRule(Rule):
    """Fires at anchor + k × seconds, k = 0, 1, 2, …: elapsed time, whatever the clocks on the wall do."""

    kind: ClassVar[Kind] = "interval"
    seconds: int
    anchor: datetime

    def _next(self, moment: datetime) -> datetime | None:
        if moment < self.anchor:
            return self.anchor
        step = timedelta(seconds=self.seconds)
        try:
            return self.anchor + ((moment - self.anchor) // step + 1) * step
        except OverflowError:  # beyond the year 9999
            return None

    def _count(self, after: datetime, through: datetime) -> int:
        return max(0, self._fired(through) - self._fired(after))

    def _last(self, after: datetime, through: datetime) -> datetime | None:
        if self._count(after, through) == 0:
            return None
        return self.anchor + (self._fired(through) - 1) * timedelta(seconds=self.seconds)

    def _fired(self, moment: datetime) -> int:
        """How many fires there were up to and including `moment`."""
        return 0 if moment < self.anchor else (moment - self.anchor) // timedelta(seconds=self.seconds) + 1


class Stretch(NamedTuple):
    """The local seconds [low, high), shown with `offset`; `made_up` is the fire for the gap before them, in UTC."""

    made_up: int | None
    low: int
    high: int
    offset: int


@dataclass(frozen=True, kw_only=True)
class CronRule(Rule):
    """Fires at local times.

    A missing local time (a gap) fires once, at the first instant after the gap, unless every hour is
    named anyway (`catches_up`). A repeated local time fires the first time only, unless the expression
    recurs within the hour or in every hour (`repeats`).
    """

    kind: ClassVar[Kind] = "cron"
    times: LocalTimes = field(hash=False, repr=False)
    catches_up: bool
    repeats: bool

    @property
    def ever(self) -> bool:
        """False for a date that no calendar has, such as 30 February."""
        return self.times.ever

    def _next(self, moment: datetime) -> datetime | None:
        after = seconds_of(moment)
        for second in self._seconds(after, after + _HORIZON):
            return EPOCH + timedelta(seconds=second)
        return None

    def _fires(self, after: datetime, through: datetime) -> Iterator[datetime]:
        for second in self._seconds(seconds_of(after), seconds_of(through)):
            yield EPOCH + timedelta(seconds=second)

    def _count(self, after: datetime, through: datetime) -> int:
        return sum(
            self.times.count(stretch.low, stretch.high) + (stretch.made_up is not None)
            for stretch in self._stretches(seconds_of(after), seconds_of(through), spans_between)
        )

    def _last(self, after: datetime, through: datetime) -> datetime | None:
        for stretch in self._stretches(seconds_of(after), seconds_of(through), spans_back):
            found = self.times.last(stretch.low, stretch.high)
            second = stretch.made_up if found is None else found - stretch.offset
            if second is not None:
                return EPOCH + timedelta(seconds=second)
        return None

    def _seconds(self, after: int, through: int) -> Iterator[int]:
        """Fires of (after, through] in seconds since the epoch."""
        for stretch in self._stretches(after, through, spans_between):
            if stretch.made_up is not None:
                yield stretch.made_up
            yield from self.times.between(stretch.low, stretch.high, stretch.offset)

    def _stretches(self, after: int, through: int, spans: SpansOf) -> Iterator[Stretch]:
        """(after, through] cut at the zone's changes of offset, in the order in which `spans` gives them."""
        if self.times.ever:
            for span in spans(check_timezone(self.timezone), after, through):
                yield self._stretch(span, after, through)

    def _stretch(self, span: Span, after: int, through: int) -> Stretch:
        low, made_up = max(after + 1, span.start) + span.offset, None
        if self._fires_for_gap(span, after):
            made_up = span.start
            low = max(low, span.start + span.offset + 1)
        if not self.repeats:
            # Local times up to here were shown once already, before the clocks went back.
            low = max(low, span.start + span.before)
        return Stretch(made_up, low, min(through + 1, span.end) + span.offset, span.offset)

    def _fires_for_gap(self, span: Span, after: int) -> bool:
        gap = span.start + span.before, span.start + span.offset
        return self.catches_up and after < span.start and gap[0] < gap[1] and self.times.any_between(*gap)
