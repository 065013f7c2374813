"""Planning: due fires become runs, each exactly once.

Read and compute without locks; then one short transaction advances each cursor by compare-and-set on the
schedule's ``version`` and cursor, and inserts runs and skip spans only for the winners. So an edit is never
overwritten, and planning twice (two beats, a crash between any two statements) changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.db import transaction

from schedules import timing
from schedules.engine import lifecycle, slots
from schedules.executors.registry import executors
from schedules.models import Run, Schedule, SkipSpan

logger = logging.getLogger(__name__)

BATCH = 200
# A fire planned later than this was missed; below it, the tick was merely not faster.
ON_TIME = timedelta(seconds=30)
# After a long outage a schedule catches up in steps, so that one of them can't keep the others waiting.
FIRES_PER_STEP = 1000


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Consecutive fires that become no run, for one reason."""

    reason: str
    first: datetime
    last: datetime
    count: int


@dataclass(kw_only=True)
class Plan:
    """What the due fires of one schedule become."""

    schedule: Schedule
    cursor: datetime | None
    fires: list[datetime] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    cancel_active: bool = False

    def skip(self, reason: str, fire: datetime) -> None:
        """Add a fire to the last span when it continues it, else open a new one."""
        last = self.skips[-1] if self.skips else None
        if last and last.reason == reason and not (self.fires and self.fires[-1] > last.last):
            self.skips[-1] = Skip(reason=reason, first=last.first, last=fire, count=last.count + 1)
        else:
            self.skips.append(Skip(reason=reason, first=fire, last=fire, count=1))


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What one batch did: the runs that are new, and of how many schedules it looked at the fires."""

    runs: list[Run]
    considered: int


def plan_due(now: datetime, *, limit: int = BATCH, latest_first: bool = False) -> Planned:
    """Plan the fires that are due, of at most ``limit`` schedules: the longest overdue first, or the latest.

    Callers take turns between the two, so that many schedules that catch up after an outage can't keep the others
    waiting.
    """
    rows = Schedule.objects.due(now)
    due = list((rows.reverse() if latest_first else rows).select_related("organisation")[:limit])
    if not due:
        return Planned(runs=[], considered=0)
    active = _active_scheduled_runs(due)
    plans = [_plan_safely(schedule, active.get(schedule.pk, 0), now) for schedule in due]
    return Planned(runs=_commit(plans, now), considered=len(due))


def rule_of(schedule: Schedule) -> timing.Rule:
    """The arithmetic of a schedule. Raises ``timing.ExpressionError``."""
    return timing.parse(
        schedule.expression, timezone=schedule.timezone, job_name=schedule.name, anchor=schedule.anchor_at
    )


def plan_one(schedule: Schedule, active: int, now: datetime) -> Plan:
    """Decide what each due fire becomes. Pure: ``active`` is the number of its scheduled runs not yet over."""
    rule = rule_of(schedule)
    fires = _due_fires(rule, schedule, now)
    plan = Plan(schedule=schedule, cursor=rule.next_after(fires[-1]) if fires else rule.next_after(now))
    more_follow = plan.cursor is not None and plan.cursor <= now
    runs_late = _late_fires_that_run(schedule, fires, now, more_follow=more_follow)
    for fire in fires:
        if fire < schedule.active_from:
            plan.skip(SkipSpan.Reason.PAUSED, fire)
        elif now - fire > ON_TIME and fire not in runs_late:
            plan.skip(SkipSpan.Reason.MISFIRE, fire)
        else:
            _overlap(plan, fire, active)
    return plan


def _overlap(plan: Plan, fire: datetime, active: int) -> None:
    waiting = active + len(plan.fires)
    policy = plan.schedule.overlap
    if policy == Schedule.Overlap.CANCEL_RUNNING:
        plan.cancel_active = True
        if plan.fires:
            plan.skip(SkipSpan.Reason.OVERLAP, plan.fires.pop())
        plan.fires.append(fire)
    elif (policy == Schedule.Overlap.SKIP and waiting) or (policy == Schedule.Overlap.QUEUE_ONE and waiting > 1):
        plan.skip(SkipSpan.Reason.OVERLAP, fire)
    else:
        plan.fires.append(fire)


def _due_fires(rule: timing.Rule, schedule: Schedule, now: datetime) -> list[datetime]:
    """The fires from the cursor through now, oldest first, at most a step of them."""
    assert schedule.next_run_at is not None  # noqa: S101 - a due schedule has a cursor
    just_before = schedule.next_run_at - timedelta(microseconds=1)
    return list(islice(rule.fires(just_before, now), FIRES_PER_STEP))


def _late_fires_that_run(
    schedule: Schedule, fires: Sequence[datetime], now: datetime, *, more_follow: bool
) -> set[datetime]:
    """Of the missed fires those that are made up. ``more_follow``: the latest is not known in this step."""
    window = now - timedelta(seconds=schedule.catchup_seconds)
    late = [fire for fire in fires if now - fire > ON_TIME and fire >= max(window, schedule.active_from)]
    if schedule.misfire == Schedule.Misfire.RUN_ALL:
        return set(late)
    on_time_follows = bool(fires) and now - fires[-1] <= ON_TIME
    if schedule.misfire == Schedule.Misfire.SKIP or on_time_follows or more_follow:
        return set()
    return set(late[-1:])


def _plan_safely(schedule: Schedule, active: int, now: datetime) -> Plan:
    try:
        return plan_one(schedule, active, now)
    except Exception:
        # One row that was damaged outside our services must not stop the watch for the others.
        logger.exception("schedule %s (%s) can't be planned; its cursor is put off", schedule.pk, schedule.name)
        return Plan(schedule=schedule, cursor=now + timedelta(minutes=5))


def _active_scheduled_runs(due: Sequence[Schedule]) -> dict[int, int]:
    rows = Run.objects.active().filter(schedule__in=due, trigger=Run.Trigger.SCHEDULE)
    counts: dict[int, int] = {}
    for schedule_id in rows.values_list("schedule_id", flat=True):
        if schedule_id is not None:
            counts[schedule_id] = counts.get(schedule_id, 0) + 1
    return counts


@transaction.atomic
def _commit(plans: Sequence[Plan], now: datetime) -> list[Run]:
    won = [plan for plan in plans if _advance(plan)]
    runs = [planned_run(plan.schedule, fire, now) for plan in won for fire in plan.fires]
    fresh = lifecycle.runs_insert(runs, cause="the schedule fired")
    SkipSpan.objects.bulk_create(
        [
            SkipSpan(
                schedule=plan.schedule,
                reason=skip.reason,
                first_fire_at=skip.first,
                last_fire_at=skip.last,
                count=skip.count,
            )
            for plan in won
            for skip in plan.skips
        ],
        ignore_conflicts=True,
    )
    for plan in won:
        if plan.cancel_active:
            _cancel_active(plan.schedule, {run.pk for run in fresh}, now)
    return fresh


def _advance(plan: Plan) -> bool:
    schedule = plan.schedule
    changes: dict[str, object] = {"next_run_at": plan.cursor}
    if plan.fires:
        changes["last_run_at"] = plan.fires[-1]
    return bool(
        Schedule.objects.filter(
            pk=schedule.pk, version=schedule.version, next_run_at=schedule.next_run_at, enabled=True
        ).update(**changes)
    )


def _cancel_active(schedule: Schedule, fresh: set[int], now: datetime) -> None:
    scheduled = Run.objects.active().filter(schedule=schedule, trigger=Run.Trigger.SCHEDULE)
    cause = "a later fire replaces it (overlap: cancel_running)"
    replaced = list(scheduled.exclude(pk__in=fresh).select_related("organisation", "schedule", "agent"))
    ended = [run for run in replaced if lifecycle.run_cancel(run, cause=cause, actor="beat", now=now) == "ended"]
    slots.release_after_commit(ended)


def planned_run(schedule: Schedule, fire: datetime, now: datetime) -> Run:
    """The run of a fire. Its key follows from schedule and nominal fire, so that planning twice is harmless."""
    run = new_run(schedule, now)
    run.job_run_id = f"s{schedule.pk}-{fire:%Y%m%dT%H%M%SZ}"
    run.trigger, run.fire_at, run.next_attempt_at = Run.Trigger.SCHEDULE, fire, fire
    return run


def new_run(schedule: Schedule, now: datetime) -> Run:
    """A run that carries all it needs, whatever happens to its schedule later."""
    executor = executors().get(schedule.executor)
    retries = schedule.max_retries
    if retries is None:
        retries = executor.default_retries if executor else 0
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
        created_at=now,
        next_attempt_at=now,
    )
