"""Pausing: by a person, or after so many failed runs in a row. The ledger's open span says since when and why."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from fleet.actors import Actor
from fleet.audit import audit_record
from schedules.engine import ledger
from schedules.engine.planning import StillCatchingUp, settle
from schedules.models import Run, Schedule

logger = logging.getLogger(__name__)

# How many the beat looks at in a tick.
AT_ONCE = 20
_JUDGED = (Run.Status.SUCCESS, Run.Status.FAILED, Run.Status.TIMEOUT)


def pause(row: Schedule, *, reason: str, actor: Actor, now: datetime) -> None:
    """Stop a locked schedule from firing. Runs that wait or run go on."""
    settle(row, now)
    row.enabled, row.paused_reason = False, reason
    row.version += 1
    ledger.set_course(row)
    row.save()
    audit_record(
        actor=actor,
        action="schedule.disable",
        subject=row,
        organisation=row.organisation,
        after={"enabled": False, "reason": reason},
    )


def resume(row: Schedule, *, actor: Actor, now: datetime) -> None:
    """Let a locked schedule fire again from ``now`` on. What passed meanwhile is written down as paused."""
    settle(row, now)
    row.enabled, row.paused_reason, row.resumed_at = True, "", now
    row.version += 1
    ledger.set_course(row)
    row.save()
    audit_record(
        actor=actor,
        action="schedule.enable",
        subject=row,
        organisation=row.organisation,
        after={"enabled": True},
    )


def is_failing(schedule: Schedule) -> bool:
    """Whether its last ``pause_after_failures`` runs that came to an end since it was resumed all failed."""
    limit = schedule.pause_after_failures
    if not limit or not schedule.enabled:
        return False
    last = runs_judged(schedule).values_list("status", flat=True)[:limit]
    return len(last) == limit and Run.Status.SUCCESS not in set(last)


def runs_judged(schedule: Schedule) -> QuerySet[Run]:
    """The runs that came to an end of their own since it was resumed, the latest first."""
    ended = Run.objects.filter(schedule=schedule, status__in=_JUDGED, finished_at__gt=schedule.resumed_at)
    return ended.exclude(trigger=Run.Trigger.BACKFILL).order_by("-created_at")


def pause_failing_due(now: datetime) -> int:
    """Pause those that are due and failing: the worker that saw the last failure may have died before it could."""
    due = Schedule.objects.due(now).filter(pause_after_failures__isnull=False).values_list("pk", flat=True)
    return sum(pause_if_failing(schedule_id, now) for schedule_id in due[:AT_ONCE])


def pause_if_failing(schedule_id: int, now: datetime) -> bool:
    """Pause a schedule whose runs keep failing."""
    schedule = Schedule.objects.filter(pk=schedule_id, pause_after_failures__isnull=False).first()
    if schedule is None or not is_failing(schedule):
        return False
    with transaction.atomic():
        # Whoever holds the row is changing it; the beat asks again at the next fire.
        rows = Schedule.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        row = rows.select_related("organisation").filter(pk=schedule_id).first()
        if row is None or not is_failing(row):
            return False
        # As of the last failure: a fire that came after it is paused, however late we are.
        failed_at = runs_judged(row).values_list("finished_at", flat=True)[0]
        # In the words of whoever reads the list of jobs in the morning.
        reason = f"its last {row.pause_after_failures} runs failed"
        try:
            pause(row, reason=reason, actor=Actor.system("engine"), now=min(now, failed_at or now))
        except StillCatchingUp:
            logger.warning("%s keeps failing; it is paused when its missed fires are made up", row.name)
            transaction.set_rollback(True)
            return False
    return True
