"""Which fires a schedule is expected to have, and what keeps one from becoming a run.

Preview and forecast ask here, and only here, for the bounds, the blackouts and the jitter of a schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from schedules import timing
from schedules.forecast.pieces import Piece
from schedules.models import BlackoutCalendar, Schedule

END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def timing_of(schedule: Schedule) -> timing.Rule:
    """The schedule's rule without its start and end dates. Raises ``timing.ExpressionError``."""
    return timing.parse(
        schedule.expression, timezone=schedule.timezone, job_name=schedule.name, anchor=schedule.anchor_at
    )


def fires_within(
    rule: timing.Rule,
    *,
    after: datetime,
    through: datetime = END_OF_TIME,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Iterator[datetime]:
    """The fires of (after, through] that are not before ``starts_at`` and not after ``ends_at``; lazily, in UTC."""
    if starts_at is not None and starts_at > after:
        after = starts_at - timedelta(microseconds=1)
    return rule.fires(after, through if ends_at is None else min(through, ends_at))


def black_pieces(calendars: Sequence[BlackoutCalendar], after: datetime, through: datetime) -> list[Piece]:
    """The stretches of (after, through] in which one of the calendars forbids a start; disjoint, in order."""
    del calendars, after, through
    return []


def due_time(fire: datetime, *, following: datetime | None, key: str, jitter_seconds: int) -> datetime:
    """When the run of a fire may start: the fire, put off by its jitter, which ``key`` makes the same each time."""
    del following, key, jitter_seconds
    return fire


def calendars_of(schedules: Sequence[Schedule]) -> dict[int, list[BlackoutCalendar]]:
    """The blackout calendars that hold for each of these schedules of one organisation, by primary key."""
    if not schedules:
        return {}
    rows = BlackoutCalendar.objects.filter(organisation=schedules[0].organisation_id).prefetch_related("schedules")
    named = [(calendar, {each.pk for each in calendar.schedules.all()}) for calendar in rows]
    return {
        schedule.pk: [calendar for calendar, keys in named if calendar.for_all or schedule.pk in keys]
        for schedule in schedules
    }
