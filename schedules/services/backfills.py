"""Backfill: fires of the past that are run after all. Looked at first, then asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal, get_args

from django.db import transaction

from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict, InvalidInput
from schedules import timing
from schedules.engine import lifecycle, slots
from schedules.engine.clock import database_now
from schedules.engine.course import expected_rule
from schedules.engine.newruns import backfilled_run
from schedules.models import Backfill, Run, Schedule, SkipSpan
from schedules.services.checks import check_instant
from schedules.services.schedules import organisation_locked

#: Which fires of the range: those without a run that succeeded or is under way; those without any; every one.
Only = Literal["unsuccessful", "missing", "all"]
MOST_RUNS = 10_000
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class BackfillPlan:
    """What a backfill would do: the fires that become runs, and how many of the range are left out and why."""

    fires: Sequence[datetime]
    has_run: int
    overlapped: int


def backfill_plan(
    *, schedule: Schedule, begin: datetime, end: datetime, only: Only = "unsuccessful", overlap: str = "queue_all"
) -> BackfillPlan:
    """The fires of ``begin`` to ``end``, both included, by the timing as it is now. Changes nothing.

    ``overlap`` is how the runs of the backfill stand to each other: ``queue_all`` runs every fire, ``skip`` the first
    of the range, ``queue_one`` the first two, ``cancel_running`` the last. Raises :class:`InvalidInput`.
    """
    _check(begin, end, only, overlap)
    now = database_now()
    if end > now:
        raise InvalidInput(
            f"The range ends at {end:%Y-%m-%d %H:%M:%S} UTC, which is to come: its fires run by themselves. "
            f"End it now at the latest: --to {now:%Y-%m-%dT%H:%M:%SZ}",
            field="to",
        )
    try:
        rule = expected_rule(schedule)
    except timing.ExpressionError as error:
        raise InvalidInput(str(error), field="expression") from error
    fires = list(islice(rule.fires(begin - _MOMENT, end), MOST_RUNS + 1))
    if len(fires) > MOST_RUNS:
        raise InvalidInput(
            f"From {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} lie {rule.count(begin - _MOMENT, end)} fires; one "
            f"backfill takes {MOST_RUNS}. Ask for a shorter range, for example to {fires[-2]:%Y-%m-%dT%H:%M:%SZ}.",
            field="to",
        )
    if only != "all":
        _refuse_forgotten(schedule, begin)
    done = _done(schedule, begin, end, only)
    wanted = [fire for fire in fires if fire not in done]
    kept = _kept(wanted, overlap)
    return BackfillPlan(fires=kept, has_run=len(fires) - len(wanted), overlapped=len(wanted) - len(kept))


@transaction.atomic(durable=True)
def backfill_start(
    *,
    schedule: Schedule,
    begin: datetime,
    end: datetime,
    actor: Actor,
    only: Only = "unsuccessful",
    overlap: str = "queue_all",
    max_concurrent_runs: int = 1,
) -> Backfill:
    """Queue the runs of :func:`backfill_plan`, at most so many at once. Raises as it does, or :class:`Conflict`."""
    if not 1 <= max_concurrent_runs <= 1000:  # noqa: PLR2004 - as a schedule's own limit
        raise InvalidInput(f"concurrency must be from 1 to 1000, not {max_concurrent_runs}.", field="concurrency")
    now = database_now()
    if not schedule.organisation.is_active:
        raise Conflict(f"The organisation {schedule.organisation} is closed. Reopen it first.")
    # Two that are asked for at once would take the same fires.
    organisation_locked(schedule.organisation_id)
    plan = backfill_plan(schedule=schedule, begin=begin, end=end, only=only, overlap=overlap)
    if not plan.fires:
        raise Conflict(f"{schedule.name} has no fire to make up in this range.")
    backfill = Backfill.objects.create(
        schedule=schedule,
        after=begin - _MOMENT,
        through=end,
        max_concurrent_runs=max_concurrent_runs,
        overlap=overlap,
        planned=len(plan.fires),
        requested_by=actor.label,
    )
    runs = [backfilled_run(backfill, fire, now) for fire in plan.fires]
    lifecycle.runs_insert(runs, cause=f"backfill {backfill.pk} by {actor.label}", actor=actor.label)
    audit_record(
        actor=actor,
        action="schedule.backfill",
        subject=schedule,
        organisation=schedule.organisation,
        after={"backfill": backfill.pk, "from": begin.isoformat(), "to": end.isoformat(), "runs": len(runs)},
    )
    return backfill


@transaction.atomic(durable=True)
def backfill_cancel(*, backfill: Backfill, actor: Actor) -> int:
    """Cancel what is not over of a backfill. Returns how many runs that was."""
    now = database_now()
    runs = list(Run.objects.active().filter(backfill=backfill).with_limits().order_by("pk"))
    cause = f"the backfill was cancelled by {actor.label}"
    done = {run: lifecycle.run_cancel(run, cause=cause, actor=actor.label, now=now) for run in runs}
    slots.release_after_commit(run for run, how in done.items() if how == "ended")
    audit_record(
        actor=actor,
        action="schedule.backfill_cancel",
        subject=backfill.schedule,
        organisation=backfill.schedule.organisation,
        after={"backfill": backfill.pk, "runs": len(runs)},
    )
    return sum(bool(how) for how in done.values())


def _check(begin: datetime, end: datetime, only: str, overlap: str) -> None:
    check_instant("from", begin)
    check_instant("to", end)
    if end < begin:
        raise InvalidInput(
            f"The range ends at {end.isoformat()}, before it begins at {begin.isoformat()}. Exchange the two.",
            field="to",
        )
    for field, value, known in (("only", only, get_args(Only)), ("overlap", overlap, Schedule.Overlap.values)):
        if value not in known:
            raise InvalidInput(f"{value!r} is no choice for {field}: {', '.join(known)}.", field=field)


def _refuse_forgotten(schedule: Schedule, begin: datetime) -> None:
    """Which of these fires ran can't be told any more: running them all again must be asked for."""
    span = SkipSpan.objects.filter(schedule=schedule, reason=SkipSpan.Reason.PRUNED, last_fire_at__gte=begin).first()
    if span is None or span.last_fire_at is None:
        return
    later = span.last_fire_at + timedelta(seconds=1)
    raise InvalidInput(
        f"What became of the fires until {span.last_fire_at:%Y-%m-%d %H:%M:%S} UTC is no longer kept, so it can't be "
        f"told which of them ran. Begin later, --from {later:%Y-%m-%dT%H:%M:%SZ}, or run each of them: --only all",
        field="from",
    )


def _done(schedule: Schedule, begin: datetime, end: datetime, only: Only) -> set[datetime]:
    """The fires that need no further run."""
    runs = Run.objects.filter(schedule=schedule, fire_at__gte=begin, fire_at__lte=end)
    if only == "all":
        # Of those under way a second one would only repeat the first.
        runs = runs.active()
    elif only == "unsuccessful":
        runs = runs.filter(status__in=[Run.Status.SUCCESS, Run.Status.QUEUED, Run.Status.RUNNING])
    return {fire for fire in runs.values_list("fire_at", flat=True) if fire}


def _kept(fires: Sequence[datetime], overlap: str) -> Sequence[datetime]:
    if overlap == Schedule.Overlap.SKIP:
        return fires[:1]
    if overlap == Schedule.Overlap.QUEUE_ONE:
        return fires[:2]
    return fires[-1:] if overlap == Schedule.Overlap.CANCEL_RUNNING else fires
