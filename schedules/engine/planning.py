"""Planning: due fires become runs, each exactly once, and whatever becomes no run is written down.

Read and compute without locks; then one short transaction advances each cursor by compare-and-set on the
schedule's ``version`` and cursor, and inserts runs and skip spans only for the winners. So an edit is never
overwritten, and planning twice (two beats, a crash between any two statements) changes nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from schedules import timing
from schedules.engine import ledger, lifecycle, slots
from schedules.engine.course import Course, course_after, expected_rule
from schedules.engine.fates import Plan, plan_one
from schedules.engine.newruns import planned_run
from schedules.engine.statements import fetch, moment_of
from schedules.models import BlackoutCalendar, EngineLease, Run, Schedule

logger = logging.getLogger(__name__)

BATCH = 200
# Of schedules that make up every missed fire, a batch plans about so many: a tick has other work, and a lease to keep.
FIRES_PER_BATCH = 5000
# An edit makes up at most so many steps of missed fires in its transaction (``fates.FIRES_PER_STEP`` runs each).
STEPS_AT_ONCE = 20
# A schedule that can't be planned is looked at again after so long.
DAMAGED_RETRY = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What one batch did: the runs that are new, of how many schedules it looked at the fires, and whether more are
    due than those."""

    runs: list[Run]
    considered: int
    more: bool = False


class StillCatchingUp(Exception):
    """So many missed fires are being made up that an edit has to wait for the beat."""


def next_due() -> datetime | None:
    """The earliest next fire of all, by its cursor: most ticks end here, whatever the number of schedules."""
    rows = fetch(_NEXT_DUE, by_value=True)
    return moment_of(rows[0][0]) if rows else None


_NEXT_DUE = """
SELECT next_run_at FROM schedules_schedule s
WHERE enabled AND next_run_at IS NOT NULL
  AND (SELECT o.is_active FROM fleet_organisation o WHERE o.id = s.organisation_id)
ORDER BY next_run_at LIMIT 1
"""


def plan_due(now: datetime, *, limit: int = BATCH, latest_first: bool = False) -> Planned:
    """Plan the fires that are due, of at most ``limit`` schedules: the longest overdue first, or the latest.

    Callers take turns between the two, so that many schedules that catch up after an outage can't keep the others
    waiting.
    """
    rows = Schedule.objects.due(now)
    due = list((rows.reverse() if latest_first else rows).select_related("organisation")[:limit])
    if not due:
        return Planned(runs=[], considered=0)
    plans = _plans(due, now)
    more = len(due) == limit or _fires(plans) >= FIRES_PER_BATCH
    return Planned(runs=_commit(plans, now), considered=len(due), more=more)


def settle(schedule: Schedule, now: datetime) -> None:
    """Account for every fire through ``now`` as the settings stand, before they change.

    The row is locked by the caller's transaction, and is brought up to date in memory. Raises
    :class:`StillCatchingUp` when that would be more than a transaction may hold.
    """
    for _ in range(STEPS_AT_ONCE):
        if not _has_open_fires(schedule, now):
            break
        try:
            _commit([_plan(schedule, _context([schedule]), now)], now)
        except timing.ExpressionError:
            ledger.write_damaged(schedule, now)
            schedule.next_run_at = None
    else:
        raise StillCatchingUp
    ledger.close_open_span(schedule, now)
    schedule.planned_through = max(now, schedule.planned_through)


def _has_open_fires(schedule: Schedule, now: datetime) -> bool:
    """Whether fires through ``now`` are to be accounted for.

    ``next_run_at`` does not tell: it is put off while a schedule can't be planned (``DAMAGED_RETRY``).
    """
    if not schedule.enabled or schedule.next_run_at is None:
        return False
    try:
        fire = expected_rule(schedule).next_after(schedule.planned_through)
    except timing.ExpressionError:
        return schedule.planned_through < now
    return fire is not None and fire <= now


def zones_are_current() -> bool:
    """Whether every cursor was looked at with the present time-zone data before: looking takes a second a million."""
    return EngineLease.objects.filter(name="zones", holder=timing.zone_data_version()).exists()


def note_zones_current(now: datetime) -> None:
    values = {"holder": timing.zone_data_version(), "expires_at": now, "renewed_at": now}
    EngineLease.objects.update_or_create(name="zones", defaults=values)


def recompute_cursors(now: datetime, *, limit: int = BATCH) -> int:
    """Compute next fires that an older version of the time-zone data gave anew. Returns how many were looked at.

    Those that are due are left to planning, which computes with the present data anyway; so are fires between the
    last one planned and now that only the present data know.
    """
    version = timing.zone_data_version()
    stale = Schedule.objects.filter(enabled=True, kind=Schedule.Kind.CRON, next_run_at__gt=now)
    rows = list(stale.exclude(zone_data=version).order_by("pk")[:limit])
    for row in rows:
        _recompute(row, version)
    return len(rows)


@transaction.atomic
def _recompute(row: Schedule, version: str) -> None:
    try:
        course = course_after(row, row.planned_through, row.planned_runs)
    except timing.ExpressionError:
        course = Course(next_run_at=row.next_run_at)
    if _free(row) and _unchanged(row).update(next_run_at=course.next_run_at, zone_data=version):
        ledger.open_span(row, course)


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What planning needs besides the rows: which runs are not over, and which blackouts hold."""

    active: Mapping[int, int]
    calendars: Mapping[int, Sequence[timing.Blackouts]]


def _context(due: Sequence[Schedule]) -> _Context:
    return _Context(active=_active_scheduled_runs(due), calendars=calendars_of(due))


def _plans(due: Sequence[Schedule], now: datetime) -> list[Plan]:
    context = _context(due)
    plans: list[Plan] = []
    for schedule in due:
        if _fires(plans) >= FIRES_PER_BATCH:
            break
        try:
            plans.append(_plan(schedule, context, now))
        except Exception:
            # One row that was damaged outside our services must not stop the watch for the others. Its past stays
            # open until it can be read again.
            logger.exception("schedule %s (%s) can't be planned; its cursor is put off", schedule.pk, schedule.name)
            _put_off(schedule, now)
    return plans


@transaction.atomic
def _put_off(schedule: Schedule, now: datetime) -> None:
    if _free(schedule):
        _unchanged(schedule).update(next_run_at=now + DAMAGED_RETRY)


def _free(schedule: Schedule) -> bool:
    """Lock it, unless somebody else does: the beat waits for nobody's edit."""
    rows = Schedule.objects.filter(pk=schedule.pk).order_by()
    return bool(rows.select_for_update(no_key=True, skip_locked=True).values_list("pk")[:1])


def _fires(plans: Sequence[Plan]) -> int:
    return sum(len(plan.fires) for plan in plans)


def _plan(schedule: Schedule, context: _Context, now: datetime) -> Plan:
    active, calendars = context.active.get(schedule.pk, 0), context.calendars.get(schedule.pk, ())
    return plan_one(schedule, calendars=calendars, active=active, now=now)


def calendars_of(schedules: Iterable[Schedule]) -> dict[int, list[timing.Blackouts]]:
    """The blackouts that hold for each schedule, by its primary key: its own and its organisation's."""
    rows = {schedule.pk: schedule for schedule in schedules}
    found: dict[int, list[timing.Blackouts]] = defaultdict(list)
    organisations = {schedule.organisation_id for schedule in rows.values()}
    for_all = Q(for_all=True, organisation__in=organisations)
    own = BlackoutCalendar.schedules.through.objects.filter(schedule__in=rows)
    named: dict[int, list[int]] = defaultdict(list)
    for calendar_id, schedule_id in own.values_list("blackoutcalendar_id", "schedule_id"):
        named[calendar_id].append(schedule_id)
    for calendar in BlackoutCalendar.objects.filter(for_all | Q(pk__in=named)).order_by("pk"):
        held = [pk for pk, row in rows.items() if row.organisation_id == calendar.organisation_id]
        for pk in held if calendar.for_all else named[calendar.pk]:
            found[pk].append(_blackouts(calendar))
    return found


def _blackouts(calendar: BlackoutCalendar) -> timing.Blackouts:
    try:
        return timing.parse_blackouts(calendar.windows, timezone=calendar.timezone)
    except timing.ExpressionError:
        logger.exception("the blackouts of %s can't be read; they are left out", calendar.name)
        return timing.parse_blackouts("", timezone="UTC")


def _active_scheduled_runs(due: Sequence[Schedule]) -> dict[int, int]:
    rows = Run.objects.active().filter(schedule__in=due, trigger=Run.Trigger.SCHEDULE)
    return dict(rows.order_by().values_list("schedule_id").annotate(Count("pk")))


@transaction.atomic
def _commit(plans: Sequence[Plan], now: datetime) -> list[Run]:
    free = _locked_by_nobody_else(plans)
    won = [plan for plan in plans if plan.schedule.pk in free and _advance(plan)]
    runs = [planned_run(plan.schedule, fire, now) for plan in won for fire in plan.fires]
    fresh = lifecycle.runs_insert(runs, cause="the schedule fired")
    for plan in won:
        if plan.skips:
            ledger.spans_write(plan.schedule, plan.skips, continues=plan.begins_with_skip)
        ledger.open_span(plan.schedule, plan.course)
        _keep(plan)
        if plan.fires and plan.schedule.overlap == Schedule.Overlap.CANCEL_RUNNING:
            _cancel_active(plan.schedule, {run.pk for run in fresh}, now)
    return fresh


def _locked_by_nobody_else(plans: Sequence[Plan]) -> set[int]:
    """Lock their schedules. Those that an edit or an applied file holds are planned when it is done: nobody's
    transaction, however long, keeps the others waiting; and two beats that meet don't wait for each other crosswise."""
    rows = Schedule.objects.filter(pk__in=[plan.schedule.pk for plan in plans])
    return set(rows.order_by().select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True))


def _advance(plan: Plan) -> bool:
    changes: dict[str, object] = {
        "planned_through": plan.through,
        "next_run_at": plan.course.next_run_at,
        "zone_data": timing.zone_data_version(),
    }
    if plan.fires:
        changes["last_run_at"] = plan.fires[-1]
        changes["planned_runs"] = plan.schedule.planned_runs + len(plan.fires)
    return bool(_unchanged(plan.schedule).update(**changes))


def _unchanged(schedule: Schedule) -> QuerySet[Schedule]:
    return Schedule.objects.filter(
        pk=schedule.pk, version=schedule.version, next_run_at=schedule.next_run_at, enabled=True
    )


def _keep(plan: Plan) -> None:
    """The row in memory as it is in the database now: whoever settles goes on with it."""
    schedule = plan.schedule
    schedule.planned_through, schedule.zone_data = plan.through, timing.zone_data_version()
    schedule.next_run_at = plan.course.next_run_at
    if plan.fires:
        schedule.last_run_at = plan.fires[-1]
        schedule.planned_runs += len(plan.fires)


def _cancel_active(schedule: Schedule, fresh: set[int], now: datetime) -> None:
    scheduled = Run.objects.active().filter(schedule=schedule, trigger=Run.Trigger.SCHEDULE)
    cause = "a later fire replaces it (overlap: cancel_running)"
    replaced = list(scheduled.exclude(pk__in=fresh).with_limits().order_by("pk"))
    ended = [run for run in replaced if lifecycle.run_cancel(run, cause=cause, actor="beat", now=now) == "ended"]
    slots.release_after_commit(ended)
