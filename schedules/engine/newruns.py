"""New runs, not saved yet: of a fire, of a request, of another run's end. Each carries all it needs."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from schedules import timing
from schedules.engine.course import planned_rule
from schedules.executors.registry import executors
from schedules.models import Backfill, Run, Schedule

_HOW = {
    Run.Status.SUCCESS: (Schedule.After.SUCCESS, Schedule.After.ALWAYS),
    Run.Status.FAILED: (Schedule.After.FAILURE, Schedule.After.ALWAYS),
    Run.Status.TIMEOUT: (Schedule.After.FAILURE, Schedule.After.ALWAYS),
    Run.Status.CANCELLED: (Schedule.After.ALWAYS,),
}


def new_run(schedule: Schedule, now: datetime) -> Run:
    """A run that carries all it needs, whatever happens to its schedule later."""
    executor = executors().get(schedule.executor)
    retries = schedule.max_retries
    if retries is None:
        retries = executor.default_retries if executor else 0
    hold = Run.Hold(executor.hold) if executor else Run.Hold.SHARED
    return Run(
        organisation_id=schedule.organisation_id,
        schedule=schedule,
        agent_id=schedule.agent_id,
        schedule_name=schedule.name,
        executor=schedule.executor,
        queue=executor.queue if executor else "housekeeping",
        payload=schedule.payload,
        priority=schedule.priority,
        timeout_seconds=schedule.timeout_seconds,
        max_retries=retries,
        retry_delays=schedule.retry_delays,
        hold=hold,
        grace_seconds=settings.WATCHBILL.recovery_grace_seconds if hold == Run.Hold.RECOVERY else 0,
        created_at=now,
        next_attempt_at=now,
    )


def planned_key(schedule_id: int, fire: datetime) -> str:
    """The idempotency key of a fire: of the schedule and the nominal UTC instant, never of the jittered one."""
    return f"s{schedule_id}-{fire:%Y%m%dT%H%M%SZ}"


def planned_run(schedule: Schedule, fire: datetime, now: datetime) -> Run:
    """The run of a fire. Its key follows from schedule and nominal fire, so that planning twice is harmless."""
    run = new_run(schedule, now)
    run.job_run_id = planned_key(schedule.pk, fire)
    run.trigger, run.fire_at = Run.Trigger.SCHEDULE, fire
    run.next_attempt_at = due = due_at(schedule, fire)
    if schedule.start_within_seconds is not None:
        run.start_by = max(due, now) + timedelta(seconds=schedule.start_within_seconds)
    return run


def due_at(schedule: Schedule, fire: datetime) -> datetime:
    """When a fire is due: put off by its jitter, the same one however often it is asked for."""
    if not schedule.jitter_seconds:
        return fire
    following = planned_rule(schedule).next_after(fire)
    return timing.jittered(
        fire, key=f"schedule:{schedule.pk}", jitter_seconds=schedule.jitter_seconds, following=following
    )


def backfilled_run(backfill: Backfill, fire: datetime, now: datetime) -> Run:
    """The run of a fire of the past. The fire stays covered in the ledger by what became of it then."""
    run = new_run(backfill.schedule, now)
    run.job_run_id = f"b{backfill.pk}-{fire:%Y%m%dT%H%M%SZ}"
    run.trigger, run.fire_at, run.backfill = Run.Trigger.BACKFILL, fire, backfill
    run.requested_by = backfill.requested_by
    return run


def following_runs(ended: Run, status: str, now: datetime) -> list[Run]:
    """The runs of the schedules that follow this one's. A backfill of the past starts nothing beside itself."""
    hows = _HOW.get(Run.Status(status), ())
    if not hows or ended.schedule_id is None or ended.trigger == Run.Trigger.BACKFILL:
        return []
    open_ = Q(enabled=True, organisation__is_active=True)
    followers = Schedule.objects.filter(open_, run_after=ended.schedule_id, run_after_on__in=hows)
    return [_following_run(schedule, ended, now) for schedule in followers]


def _following_run(schedule: Schedule, ended: Run, now: datetime) -> Run:
    run = new_run(schedule, now)
    run.job_run_id, run.trigger = f"e{schedule.pk}-{ended.pk}", Run.Trigger.EVENT
    return run
