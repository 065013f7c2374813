"""The ledger's writer: every expected fire is covered by exactly one record, a run or a skip span.

Fires through ``planned_through`` are covered by runs and closed spans, those behind it by the open span, if there is
one, else they are still to come. Whoever changes when a schedule fires settles its past first, sets its course
afterwards, all in one transaction on the locked row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F

from schedules import timing
from schedules.engine.course import Course, Reason, Skip, course_after, expected_rule
from schedules.models import Schedule, ScheduleRevision, SkipSpan

_REVISED = ("expression", "timezone", "name", "anchor_at", "starts_at", "ends_at", "zone_data")


def spans_write(schedule: Schedule, skips: Sequence[Skip], *, continues: bool) -> None:
    """Add spans. ``continues``: no run lies before the first of them, which may lengthen the last one there is."""
    rest = list(skips)
    if rest and continues and _lengthen(schedule, rest[0]):
        del rest[0]
    SkipSpan.objects.bulk_create([_span(schedule, skip) for skip in rest], ignore_conflicts=True)


def _lengthen(schedule: Schedule, skip: Skip) -> bool:
    """A job that outlasts a thousand of its fires leaves one span, not a thousand."""
    closed = SkipSpan.objects.filter(schedule=schedule, last_fire_at__isnull=False)
    last = closed.order_by("-first_fire_at").first()
    if last is None or (last.reason, last.detail) != (skip.reason, skip.detail[:200]) or skip.last is None:
        return False
    assert last.last_fire_at is not None  # noqa: S101 - a closed one
    if schedule.last_run_at and schedule.last_run_at > last.last_fire_at:
        return False
    same = closed.filter(pk=last.pk, last_fire_at=last.last_fire_at)
    return bool(same.update(last_fire_at=skip.last, count=F("count") + (skip.count or 0)))


def _span(schedule: Schedule, skip: Skip) -> SkipSpan:
    return SkipSpan(
        schedule=schedule,
        reason=skip.reason,
        detail=skip.detail[:200],
        first_fire_at=skip.first,
        last_fire_at=skip.last,
        count=skip.count,
    )


def close_open_span(schedule: Schedule, now: datetime) -> None:
    """What it covered through ``now`` is counted; one that no fire has met is forgotten."""
    span = SkipSpan.objects.filter(schedule=schedule, last_fire_at=None).first()
    if span is None:
        return
    through = max(now, schedule.planned_through)
    count, first, last = _counted(schedule, through)
    if count:
        SkipSpan.objects.filter(pk=span.pk).update(first_fire_at=first, last_fire_at=last, count=count)
    else:
        span.delete()
    schedule.planned_through = through


def _counted(schedule: Schedule, through: datetime) -> tuple[int, datetime | None, datetime | None]:
    begin = schedule.planned_through
    try:
        rule = expected_rule(schedule)
    except timing.ExpressionError:  # damaged outside our services: that there were fires is all that can be said
        return (1, begin, through) if through > begin else (0, None, None)
    return rule.count(begin, through), rule.next_after(begin), rule.last(begin, through)


def write_damaged(schedule: Schedule, now: datetime) -> None:
    """What could not be read through ``now``: how many fires that were is not known."""
    through = max(now, schedule.planned_through + timedelta(microseconds=1))
    detail = f"how many fires is not known: {schedule.expression!r}"
    first = schedule.planned_through + timedelta(microseconds=1)
    skip = Skip(reason=Reason.DAMAGED, first=first, last=through, count=1, detail=detail)
    spans_write(schedule, [skip], continues=False)
    schedule.planned_through = through


def set_course(schedule: Schedule) -> None:
    """Set the next fire from ``planned_through`` on, and write the open span that covers what follows instead."""
    course = course_after(schedule, schedule.planned_through, schedule.planned_runs)
    schedule.next_run_at = course.next_run_at
    schedule.zone_data = timing.zone_data_version()
    open_span(schedule, course)


def open_span(schedule: Schedule, course: Course) -> None:
    if course.open:
        spans_write(schedule, [course.open], continues=False)


def revise(schedule: Schedule) -> None:
    """Keep the timing as it is from ``planned_through`` on; a row that says the same already is left alone."""
    values = {field: getattr(schedule, field) for field in _REVISED}
    ScheduleRevision.objects.update_or_create(schedule=schedule, since=schedule.planned_through, defaults=values)
