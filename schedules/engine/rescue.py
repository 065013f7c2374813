"""The rescue: what a dead worker, a lost message or a restarted Redis left behind. Only the leader runs it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from schedules.engine import lifecycle, publishing, slots
from schedules.models import Run

logger = logging.getLogger(__name__)

# A run whose worker still renews its lease but does not end it after its deadline is taken away after so long.
DEADLINE_GRACE = timedelta(seconds=30)
# An unknown slot may be an admission between its two steps; it is dropped when it is still unknown after so long.
ORPHAN_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A lease as last seen to move, on this process's monotonic clock."""

    claim_token: str
    sequence: int
    since: float


class Rescue:
    """What one leader has seen. Forgotten after any outage, so that nobody is judged by our own absence."""

    def __init__(self) -> None:
        self._leases: dict[int, Seen] = {}
        self._orphans: dict[tuple[str, int], float] = {}

    def forget(self) -> None:
        self._leases.clear()
        self._orphans.clear()

    def lost_leases(self, now: datetime) -> int:
        """Requeue runs whose heartbeat stood still for one full lease. Returns how many."""
        running = list(Run.objects.filter(status=Run.Status.RUNNING))
        clock = time.monotonic()
        self._leases = {run.pk: self._observe(run, clock) for run in running}
        lost = 0
        for run in running:
            if clock - self._leases[run.pk].since >= settings.WATCHBILL.lease_seconds:
                lost += lifecycle.run_lose(run, cause=f"no sign of life from {run.worker}", now=now)
            elif run.deadline_at and now > run.deadline_at + DEADLINE_GRACE:
                cause = f"{run.worker} did not end it at its deadline"
                lost += lifecycle.run_lose(run, cause=cause, ending="timeout", now=now)
        return lost

    def _observe(self, run: Run, clock: float) -> Seen:
        seen = self._leases.get(run.pk)
        if seen and (seen.claim_token, seen.sequence) == (run.claim_token, run.heartbeat_sequence):
            return seen
        return Seen(claim_token=run.claim_token, sequence=run.heartbeat_sequence, since=clock)

    def unclaimed(self, now: datetime) -> int:
        """Publish again what was admitted long ago and has no message waiting. Returns how many.

        Backs off by itself: while its queue holds messages, workers are merely busy.
        """
        before = now - timedelta(seconds=settings.WATCHBILL.unclaimed_seconds)
        stale = list(Run.objects.admitted().filter(admitted_at__lte=before)[:1000])
        if not stale:
            return 0
        lengths = publishing.queue_lengths({run.queue for run in stale})
        again = [run for run in stale if not lengths[run.queue]]
        Run.objects.filter(pk__in=[run.pk for run in again]).update(admitted_at=now)
        for run in again:
            lifecycle.run_note(run, kind="published_again", cause="no worker had claimed it", now=now)
        if again:
            publishing.publish(again)
        return len(again)

    def slots(self) -> int:
        """Bring Redis in line with the database. Returns how many slots were wrong."""
        if slots.rebuild_if_needed():
            logger.warning("the slots were rebuilt from the database")
            return 0
        held = {(scope, run_id) for scope, runs in slots.held().items() for run_id in runs}
        rightful = self._rightful()
        slots.put(rightful - held)
        clock = time.monotonic()
        self._orphans = {pair: self._orphans.get(pair, clock) for pair in held - rightful}
        old = {pair for pair, since in self._orphans.items() if clock - since >= ORPHAN_SECONDS}
        slots.drop(old)
        return len(old) + len(rightful - held)

    def _rightful(self) -> set[tuple[str, int]]:
        runs = Run.objects.holding_slots().select_related("organisation", "schedule", "agent")
        return {(scope.name, run.pk) for run in runs for scope in slots.scopes_of(run)}
