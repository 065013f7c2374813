"""What each due fire of a schedule becomes: a run, or part of a span that says why not. Pure: no database.

A long outage costs no more than a short one: fires that become no run are counted, not walked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from schedules import timing
from schedules.engine.course import Course, Reason, Skip, course_after, planned_rule
from schedules.models import Schedule

# A fire planned later than this was missed; below it, the tick was merely not faster.
ON_TIME = timedelta(seconds=30)
# A schedule that makes up every missed fire does so in steps, so that one of them can't keep the others waiting.
FIRES_PER_STEP = 1000
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the fires of (``planned_through``, ``through``] of one schedule become."""

    schedule: Schedule
    through: datetime
    course: Course
    fires: Sequence[datetime] = ()
    skips: Sequence[Skip] = ()
    #: Whether the first of these fires became no run: its span may continue the one before.
    begins_with_skip: bool = False


class _StepFull(Exception):
    """The plan ends with its last fire; the next step goes on behind it."""


def plan_one(schedule: Schedule, *, calendars: Sequence[timing.Blackouts], active: int, now: datetime) -> Plan:
    """Decide. ``active``: how many of its scheduled runs are not over. Raises ``timing.ExpressionError``."""
    # What lies behind the end date is covered by the open span that begins there.
    last = min(now, schedule.ends_at) if schedule.ends_at else now
    through = max(last, schedule.planned_through)
    walk = _Walk(schedule, active)
    try:
        walk.go(calendars, now, through)
    except _StepFull:
        through = walk.fires[-1] if walk.fires else schedule.planned_through
    fires = walk.fires
    return Plan(
        schedule=schedule,
        through=through,
        course=course_after(schedule, through, schedule.planned_runs + len(fires)),
        fires=fires,
        skips=list(walk.skips()),
        begins_with_skip=bool(walk.items) and isinstance(walk.items[0], Skip),
    )


class _Walk:
    """One way through the due fires of a schedule, oldest first."""

    def __init__(self, schedule: Schedule, active: int) -> None:
        self.schedule = schedule
        self.rule = planned_rule(schedule)
        self.active = active
        self.items: list[datetime | Skip] = []

    @property
    def fires(self) -> list[datetime]:
        return [item for item in self.items if isinstance(item, datetime)]

    def skips(self) -> Iterator[Skip]:
        """The spans, those that follow each other for one reason made one."""
        last: Skip | None = None
        for item in self.items:
            if isinstance(item, Skip) and last and (item.reason, item.detail) == (last.reason, last.detail):
                last = replace(last, last=item.last, count=(last.count or 0) + (item.count or 0))
                continue
            if last:
                yield last
            last = item if isinstance(item, Skip) else None
        if last:
            yield last

    def go(self, calendars: Sequence[timing.Blackouts], now: datetime, through: datetime) -> None:
        window = max(timedelta(seconds=self.schedule.catchup_seconds), ON_TIME)
        begin = self.schedule.planned_through
        recent = min(through, max(begin, now - window - _MOMENT))
        self._skip(Reason.MISFIRE, begin, recent)
        first = self.rule.next_after(recent)
        if first is None or first > through:
            return
        # From the first fire on: between the fires of a yearly job lie more windows than can be looked at in a tick.
        recent = first - _MOMENT
        pieces = list(timing.segments(calendars, recent, through))
        late_through = min(through, max(recent, now - ON_TIME - _MOMENT))
        made_up = self._made_up(pieces, late_through)
        for piece in _cut(pieces, late_through):
            if piece.text is not None:
                self._skip(Reason.BLACKOUT, piece.after, piece.through, piece.text)
            elif piece.through <= late_through:
                self._late(piece, made_up)
            else:
                self._run_each(piece.after, piece.through)

    def _made_up(self, pieces: Sequence[timing.Segment], late_through: datetime) -> datetime | None:
        """The latest missed fire, when it is to be made up: not if one that is on time follows."""
        if self.schedule.misfire != Schedule.Misfire.RUN_LATEST:
            return None
        free = [piece for piece in _cut(pieces, late_through) if piece.text is None]
        latest = max(filter(None, (self.rule.last(piece.after, piece.through) for piece in free)), default=None)
        return latest if latest and latest <= late_through else None

    def _late(self, piece: timing.Segment, made_up: datetime | None) -> None:
        if self.schedule.misfire == Schedule.Misfire.RUN_ALL:
            self._run_each(piece.after, piece.through)
        elif made_up and piece.after < made_up <= piece.through:
            self._skip(Reason.MISFIRE, piece.after, made_up - _MOMENT)
            self._run(made_up)
            self._skip(Reason.MISFIRE, made_up, piece.through)
        else:
            self._skip(Reason.MISFIRE, piece.after, piece.through)

    def _run_each(self, after: datetime, through: datetime) -> None:
        """Each fire becomes a run, as far as overlap lets it. Once that is a no, it is one for all that follow."""
        if self.schedule.overlap == Schedule.Overlap.CANCEL_RUNNING:
            if last := self.rule.last(after, through):
                self._skip(Reason.OVERLAP, after, last - _MOMENT)
                self._run(last)
            return
        for fire in self.rule.fires(after, through):
            if self._overlaps():
                self._skip(Reason.OVERLAP, fire - _MOMENT, through)
                return
            self._run(fire)

    def _run(self, fire: datetime) -> None:
        if self.schedule.overlap == Schedule.Overlap.CANCEL_RUNNING:
            self._replace_planned()
        elif self._overlaps():
            self._skip(Reason.OVERLAP, fire - _MOMENT, fire)
            return
        self.items.append(fire)
        planned = len(self.fires)
        if planned >= FIRES_PER_STEP or self.schedule.planned_runs + planned == self.schedule.max_runs:
            raise _StepFull

    def _overlaps(self) -> bool:
        waiting = self.active + len(self.fires)
        if self.schedule.overlap == Schedule.Overlap.SKIP:
            return waiting > 0
        return self.schedule.overlap == Schedule.Overlap.QUEUE_ONE and waiting > 1

    def _replace_planned(self) -> None:
        """A fire of this very plan that a later one cancels never becomes a run."""
        self.items = [
            Skip(reason=Reason.OVERLAP, first=item, last=item, count=1) if isinstance(item, datetime) else item
            for item in self.items
        ]

    def _skip(self, reason: str, after: datetime, through: datetime, detail: str = "") -> None:
        """All fires of (``after``, ``through``] are skipped for this reason."""
        count = self.rule.count(after, through) if through > after else 0
        if count:
            first, last = self.rule.next_after(after), self.rule.last(after, through)
            assert first is not None  # noqa: S101 - count says that there is one
            self.items.append(Skip(reason=reason, first=first, last=last, count=count, detail=detail))


def _cut(pieces: Iterable[timing.Segment], at: datetime) -> Iterator[timing.Segment]:
    """The same pieces, none of which reaches over ``at``."""
    for piece in pieces:
        edges = [piece.after, at, piece.through] if piece.after < at < piece.through else [piece.after, piece.through]
        for after, through in pairwise(edges):
            yield timing.Segment(after, through, piece.text)
