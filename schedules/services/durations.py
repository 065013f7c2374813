"""How long the runs of a schedule usually take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from schedules.models import Run, Schedule

LOOKED_AT = 20
# What a schedule is taken for that never succeeded yet.
ASSUMED = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class UsualDuration:
    """The median of the last 20 successful runs; ``assumed`` when there is none."""

    duration: timedelta
    assumed: bool = False


def usual_durations(schedules: Iterable[Schedule]) -> dict[int, UsualDuration]:
    """By the schedule's primary key. One look-up along an index for each."""
    return {schedule.pk: _usual(schedule) for schedule in schedules}


def _usual(schedule: Schedule) -> UsualDuration:
    succeeded = Run.objects.filter(schedule=schedule, status=Run.Status.SUCCESS, duration_ms__isnull=False)
    rows = succeeded.order_by("-created_at").values_list("duration_ms", flat=True)[:LOOKED_AT]
    taken = [milliseconds for milliseconds in rows if milliseconds is not None]
    if not taken:
        return UsualDuration(duration=min(ASSUMED, timedelta(seconds=schedule.timeout_seconds)), assumed=True)
    return UsualDuration(duration=timedelta(milliseconds=max(0, median(taken))))
