"""Who may hold an agent: a run that needs it alone bars those that come after it, and a recovery makes its way.

Two runs of an agent never wait for each other in here: a run queues what has to follow it and ends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.db import transaction
from django.db.models import Count, Min, Q

from schedules.engine import lifecycle, slots
from schedules.models import Run
from schedules.querysets import ALONE_WAITING

logger = logging.getLogger(__name__)


class Waiting(Protocol):
    """What is looked at of a run that waits."""

    @property
    def job_run_id(self) -> str: ...
    @property
    def agent_id(self) -> int | None: ...
    @property
    def handle(self) -> object: ...
    @property
    def hold(self) -> str: ...
    @property
    def grace_seconds(self) -> int: ...
    @property
    def next_attempt_at(self) -> datetime: ...


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Since when the first exclusive run waits for an agent, and whether one of those that wait is a recovery."""

    since: datetime
    recovery: bool


class Bars:
    """Whom the waiting exclusives bar, as the database says at one instant. One row an agent, however many wait."""

    def __init__(self, now: datetime) -> None:
        open_ = Q(next_attempt_at__lte=now, organisation__is_active=True, agent__isnull=False)
        waiting = Run.objects.filter(ALONE_WAITING, open_).order_by()
        recoveries = Count("pk", filter=Q(hold=Run.Hold.RECOVERY))
        rows = waiting.values_list("agent_id").annotate(since=Min("next_attempt_at"), recoveries=recoveries)
        self._of_agent = {agent_id: Bar(since=since, recovery=bool(count)) for agent_id, since, count in rows}

    def bar(self, agent_id: int | None) -> Bar | None:
        """What bars a run of this agent that comes now."""
        return self._of_agent.get(agent_id or 0)

    def stop(self, run: Waiting) -> bool:
        """Whether this run has to let another one go first.

        One that still holds its slots, because what a lost attempt left has to be reaped, is never stopped: it would
        wait for the exclusive that waits for it.
        """
        bar = self.bar(run.agent_id)
        if bar is None or run.handle or run.hold == Run.Hold.RECOVERY:
            return False
        if bar.recovery:
            return True
        return run.hold == Run.Hold.SHARED and run.next_attempt_at > bar.since


def make_way(recovery: Waiting, now: datetime) -> None:
    """Free the agent of a recovery that waits, once the grace of those that hold it is over.

    What was not claimed yet waits again; what runs is cancelled. Another recovery is left alone: two of them would
    cancel each other for ever.
    """
    if now < recovery.next_attempt_at + timedelta(seconds=recovery.grace_seconds):
        return
    holders = Run.objects.holding_slots().filter(agent=recovery.agent_id).exclude(hold=Run.Hold.RECOVERY)
    for holder in holders.filter(cancel_requested_at=None).with_limits():
        with transaction.atomic():
            _end(holder, recovery, now)


def _end(holder: Run, recovery: Waiting, now: datetime) -> None:
    cause = f"the recovery {recovery.job_run_id} needs the agent alone"
    if lifecycle.run_withdraw(holder, cause=cause, now=now):
        slots.release_after_commit([holder])
        return
    how = lifecycle.run_cancel(holder, cause=cause, actor="engine", now=now)
    if how:
        logger.warning("run %s is cancelled: %s", holder.job_run_id, cause)
    if how == "ended":
        slots.release_after_commit([holder])
