"""The rescue: what a dead worker, a lost message or a restarted Redis left behind. Only the leader runs it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from schedules.engine import candidates, lifecycle, publishing, slots
from schedules.engine.clock import database_now
from schedules.engine.events import engine_event
from schedules.models import EngineEvent, Run

logger = logging.getLogger(__name__)

# A run whose worker still renews its lease but does not end it after its deadline is taken away after so long.
DEADLINE_GRACE = timedelta(seconds=20)
# An unknown slot may be an admission between its two steps; it is dropped when it is still unknown after so long.
ORPHAN_SECONDS = 5.0
# A message that nobody claims is published again at least this often.
LONGEST_WAIT = 600.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A lease as last seen to move, on this process's monotonic clock."""

    claim_token: str
    sequence: int
    since: float


@dataclass(frozen=True, kw_only=True)
class Published:
    """When a message may be published once more, on this process's monotonic clock, and how long that waited."""

    again_at: float
    wait: float


#: A slot: the scope's name, and the member that stands in it.
Place = tuple[str, str]


class Rescue:
    """What one leader has seen. Forgotten after any outage, so that nobody is judged by our own absence."""

    def __init__(self) -> None:
        self._leases: dict[int, Seen] = {}
        self._looked = 0.0
        self._orphans: dict[Place, float] = {}
        self._published: dict[str, Published] = {}
        self._anchor: tuple[float, datetime] | None = None

    def forget(self) -> None:
        self._anchor = None
        self._leases.clear()
        self._orphans.clear()
        self._published.clear()

    def lost_leases(self, now: datetime) -> int:
        """Requeue runs whose heartbeat stood still for one full lease. Returns how many."""
        clock = time.monotonic()
        if clock - self._looked > settings.WATCHBILL.lease_seconds / 2:
            self._leases.clear()  # we looked away ourselves: nobody is judged by our absence
        self._looked = clock
        running = list(Run.objects.holding_slots().filter(status=Run.Status.RUNNING))
        self._leases = {run.pk: self._observe(run, clock) for run in running}
        lost, steady = 0, self._steady(clock, now)
        for run in running:
            if clock - self._leases[run.pk].since >= settings.WATCHBILL.lease_seconds:
                lost += lifecycle.run_lose(run, cause=f"no sign of life from {run.worker}", silent=True, now=now)
            elif run.deadline_at and steady > run.deadline_at + DEADLINE_GRACE:
                cause = f"{run.worker} did not end it at its deadline"
                lost += lifecycle.run_lose(run, cause=cause, ending="timeout", now=now)
        return lost

    def _steady(self, clock: float, now: datetime) -> datetime:
        """The database's time without its leaps forward, which are no reason to end what runs."""
        self._anchor = self._anchor or (clock, now)
        return min(now, self._anchor[1] + timedelta(seconds=clock - self._anchor[0]))

    def _observe(self, run: Run, clock: float) -> Seen:
        seen = self._leases.get(run.pk)
        if seen and (seen.claim_token, seen.sequence) == (run.claim_token, run.heartbeat_sequence):
            return seen
        return Seen(claim_token=run.claim_token, sequence=run.heartbeat_sequence, since=clock)

    def unclaimed(self, now: datetime) -> int:
        """Publish again what was admitted a while ago and has no message waiting. Returns how many.

        Each time for the same token after twice as long: its worker may merely be busy with what it prefetched.
        """
        before = now - timedelta(seconds=settings.WATCHBILL.unclaimed_seconds)
        stale = {run.admission_token: run for run in Run.objects.admitted().filter(admitted_at__lte=before)[:1000]}
        self._published = {token: seen for token, seen in self._published.items() if token in stale}
        due = [run for token, run in stale.items() if self._may_publish(token)]
        if not due:
            return 0
        waiting = publishing.waiting_task_ids({run.queue for run in due})
        again = [run for run in due if run.task_id not in waiting]
        if again:
            publishing.publish(again)
        for run in again:
            self._note_published(run.admission_token)
            lifecycle.run_note(run, kind="published_again", cause="no worker had claimed it", now=now)
        return len(again)

    def _may_publish(self, token: str) -> bool:
        seen = self._published.get(token)
        return seen is None or time.monotonic() >= seen.again_at

    def _note_published(self, token: str) -> None:
        seen = self._published.get(token)
        wait = min(2 * seen.wait, LONGEST_WAIT) if seen else settings.WATCHBILL.unclaimed_seconds
        self._published[token] = Published(again_at=time.monotonic() + wait, wait=wait)

    def slots(self) -> int:
        """Bring Redis in line with the database. Returns how many slots were wrong."""
        if slots.rebuild_if_needed():
            return 0
        held, rightful = _held(), self._rightful()
        missing = _missing(rightful, held)
        if missing:
            # Looked at twice, Redis before the database: whoever was admitted or ended meanwhile is in order.
            held = _held()
            missing &= _missing(self._rightful(), held)
        slots.put(missing)
        clock = time.monotonic()
        self._orphans = {pair: self._orphans.get(pair, clock) for pair in _strange(rightful, held)}
        old = {pair for pair, since in self._orphans.items() if clock - since >= ORPHAN_SECONDS}
        # Read once more: what was unknown may have been admitted since.
        orphans = old & _strange(self._rightful(), held) if old else old
        slots.drop(orphans)
        if missing or orphans:
            detail = f"{len(orphans)} that no run held were dropped, {len(missing)} that were missing put back"
            engine_event(EngineEvent.Kind.SLOTS_MENDED, detail, at=database_now())
            logger.warning("slots: %s", detail)
        return len(orphans) + len(missing)

    def _rightful(self) -> dict[Place, Place]:
        """Where those stand that hold slots, and where their former attempts did."""
        found: dict[Place, Place] = {}
        for run in candidates.all_held():
            former = slots.holder_of(run).former
            found |= {(scope.name, member): (scope.name, former) for scope, member in slots.places_of(run)}
        return found


def _missing(rightful: dict[Place, Place], held: set[Place]) -> set[Place]:
    """A lost run holds the slot of its former attempt, until the next one takes it over."""
    return {place for place, former in rightful.items() if place not in held and former not in held}


def _strange(rightful: dict[Place, Place], held: set[Place]) -> set[Place]:
    return held - rightful.keys() - {former for place, former in rightful.items() if place not in held}


def _held() -> set[Place]:
    """What Redis holds, as scope and member."""
    return {(scope, member) for scope, members in slots.held().items() for member in members}
