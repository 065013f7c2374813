"""Who may hold an agent: a run that needs it alone bars those that come after it, and a recovery makes its way.

Two runs of an agent never wait for each other in here: a run queues what has to follow it and ends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from schedules.engine import lifecycle, slots
from schedules.models import Run
from schedules.querysets import ALONE

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """The first exclusive run that waits for an agent, and whether one of those that wait is a recovery."""

    first: tuple[datetime, int]
    recovery: bool


def _turn(run: Run) -> tuple[datetime, int]:
    assert run.next_attempt_at is not None  # noqa: S101 - a queued run has a time (run_queued_has_time)
    return run.next_attempt_at, run.pk


class Bars:
    """Whom the waiting exclusives bar, as the database says at one instant."""

    def __init__(self, now: datetime) -> None:
        self._of_agent: dict[int, Bar] = {}
        waiting = Run.objects.waiting(now).filter(ALONE, agent__isnull=False)
        for run in waiting.only("agent_id", "next_attempt_at", "hold").order_by("next_attempt_at", "pk"):
            bar = self._of_agent.get(run.agent_id or 0)
            recovery = run.hold == Run.Hold.RECOVERY or (bar is not None and bar.recovery)
            self._of_agent[run.agent_id or 0] = Bar(first=bar.first if bar else _turn(run), recovery=recovery)

    def bar(self, agent_id: int | None) -> Bar | None:
        """What bars a run of this agent that comes now."""
        return self._of_agent.get(agent_id or 0)

    def stop(self, run: Run) -> bool:
        """Whether this run has to let another one go first.

        One that still holds its slots, because what a lost attempt left has to be reaped, is never stopped: it would
        wait for the exclusive that waits for it.
        """
        bar = self.bar(run.agent_id)
        if bar is None or run.handle or run.hold == Run.Hold.RECOVERY:
            return False
        if bar.recovery:
            return True
        return run.hold == Run.Hold.SHARED and _turn(run) > bar.first


def make_way(recovery: Run, now: datetime) -> None:
    """Free the agent of a recovery that waits, once the grace of those that hold it is over.

    What was not claimed yet waits again; what runs is cancelled. Another recovery is left alone: two of them would
    cancel each other for ever.
    """
    if now < _turn(recovery)[0] + timedelta(seconds=recovery.grace_seconds):
        return
    holders = Run.objects.holding_slots().filter(agent=recovery.agent_id).exclude(hold=Run.Hold.RECOVERY)
    for holder in holders.filter(cancel_requested_at=None).with_limits():
        with transaction.atomic():
            _end(holder, recovery, now)


def _end(holder: Run, recovery: Run, now: datetime) -> None:
    cause = f"the recovery {recovery.job_run_id} needs the agent alone"
    if lifecycle.run_withdraw(holder, cause=cause, now=now):
        slots.release_after_commit([holder])
        return
    how = lifecycle.run_cancel(holder, cause=cause, actor="engine", now=now)
    if how:
        logger.warning("run %s is cancelled: %s", holder.job_run_id, cause)
    if how == "ended":
        slots.release_after_commit([holder])
