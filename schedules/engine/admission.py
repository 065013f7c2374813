"""Admission: a waiting run gets its slots, then a token, then its message is published. In that order.

At most W runs of a queue are admitted but unclaimed (four times the slots of its workers), so that the broker holds
no backlog. Whose turn it is: ``candidates``.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from schedules.engine import candidates, lifecycle, publishing, slots
from schedules.engine.candidates import Candidate, Outlook
from schedules.engine.clock import statement_now
from schedules.engine.holds import Bars, make_way
from schedules.executors.registry import executors
from schedules.models import Run

logger = logging.getLogger(__name__)

ADMITTED_PER_SLOT = 4
WORKER_GONE = timedelta(seconds=30)
# How long a process goes by the number of worker slots that it has read.
CAPACITY_SECONDS = 5.0


def admit_waiting(now: datetime | None = None, *, queue: str = "") -> int:
    """Admit and publish what waits, as far as slots and queues go. Returns how many runs.

    ``queue``: where room has become free, so that no more are looked at than it takes. Raises ``RedisError`` when Redis
    can't be reached: everything stays queued.
    """
    total = 0
    while (seen := candidates.outlook(now or statement_now())).lanes:
        room = _Room(seen)
        looked_at, admitted = _pass(seen, room, queue)
        total += admitted
        # A pass sees a bounded number of candidates, and fills at least one limit, which the next one leaves out.
        if not admitted or admitted == looked_at or (queue and room.of(queue) <= 0):
            break
    return total


def _pass(seen: Outlook, room: _Room, queue: str) -> tuple[int, int]:
    """How many candidates were looked at last, and how many of them admitted. So many organisations at a time, until
    one of them could start something: those that can't must not stand before the others."""
    full = [name for name, left in room.left.items() if left <= 0]
    for lanes in candidates.turns(seen):
        found = candidates.candidates(seen, lanes, room=room.of(queue), full=full)
        if any(run.is_alone for run in found):
            room.bars = Bars(seen.now)
        if admitted := len(_admit(found, room)):
            return len(found), admitted
    return 0, 0


def admit_run(run_id: int, now: datetime | None = None) -> bool:
    """Admit and publish this one, when it waits and there is room. Raises as :func:`admit_waiting`."""
    run, seen = candidates.candidate(run_id), candidates.outlook(now or statement_now())
    if run is None or run.next_attempt_at > seen.now:
        return False
    # Who needs no agent is barred by nobody, and is spared the question.
    bars = Bars(seen.now) if run.agent_id is not None else None
    return bool(_admit([run], _Room(seen, bars=bars)))


def let_next_in(holder: slots.Holder, queue: str) -> None:
    """Free the slots of an attempt that ended, and admit those that waited for them.

    Not while half of what may be out in the queue waits for a worker: they have enough to do, and who takes of it
    looks. So one look admits several.
    """
    enough = _capacity(queue) // 2
    if not slots.release_and_ask(holder, queue=queue, enough=enough):
        return
    admit_waiting(queue=queue)
    if slots.looked(queue=queue, enough=enough):
        admit_waiting(queue=queue)
        # Whoever looks has work of his own to do: no third time, though somebody asked for it again.
        slots.looked(queue=queue, enough=0)


def _admit(runs: Sequence[Candidate], room: _Room) -> list[Candidate]:
    now = room.now
    able = [run for run in runs if _may_run(run, now) and room.has(run)]
    ready = _take_slots(able, room, now)
    # In one order everywhere: two admissions that update the same rows must not wait for each other.
    tokens = lifecycle.runs_admit(sorted(ready, key=lambda run: run.pk), now=now)
    for run in ready:
        if run.pk not in tokens:
            _give_back_unless_held(run)
    won = [run for run in ready if run.pk in tokens]
    if won:
        _publish(won, tokens)
    return won


class _Room:
    """What is known to be full in this pass, so that a full scope is asked for once."""

    def __init__(self, seen: Outlook, *, bars: Bars | None = None) -> None:
        self.now, self.bars = seen.now, bars
        self.left = room_of(seen)
        self.full: set[str] = set()

    def of(self, queue: str) -> int:
        """Of this queue, or of the one that has most."""
        return self.left.get(queue, max(self.left.values()))

    def has(self, run: Candidate) -> bool:
        # A recovery is asked for each time, also with a full queue, since who refuses it has to make way.
        if run.is_recovery:
            return True
        return self.left.get(run.queue, ADMITTED_PER_SLOT) > 0 and not (self.bars and self.bars.stop(run))

    def may_have_slots(self, run: Candidate) -> bool:
        # One that has to be reaped holds its slots already: the scope that it fills itself is not full for it.
        if run.is_recovery or run.handle:
            return True
        return self.full.isdisjoint(scope.name for scope in slots.scopes_of(run))

    def took(self, run: Candidate) -> None:
        self.left[run.queue] = self.left.get(run.queue, ADMITTED_PER_SLOT) - 1


def _may_run(run: Candidate, now: datetime) -> bool:
    if run.start_by and now > run.start_by and run.attempt == 1 and not run.handle:
        cause = f"It could not start until {run.start_by:%Y-%m-%d %H:%M:%S} UTC (start within)."
        lifecycle.run_skip(_row(run), cause=cause, now=now)
        return False
    if run.executor in executors():
        return True
    lifecycle.run_refuse(
        _row(run),
        code="executor_unknown",
        message=f"No executor named {run.executor!r} is installed. Install it or change the schedule.",
        now=now,
    )
    return False


def _row(run: Candidate) -> Run:
    return Run.objects.with_limits().get(pk=run.pk)


def _take_slots(runs: Sequence[Candidate], room: _Room, now: datetime) -> list[Candidate]:
    """Ask for as many at a time as the queues have room for, until those are full or nobody is left to ask."""
    taken: list[Candidate] = []
    rest = list(runs)
    while rest:
        asked = _next_to_ask(rest, room)
        if not asked:
            break
        rest = rest[rest.index(asked[-1]) + 1 :]
        for run, full in zip(asked, _ask(asked), strict=True):
            if full is None:
                room.took(run)
                taken.append(run)
                continue
            room.full.add(full.name)
            if run.is_recovery:
                make_way(run, now)
    return taken


def _next_to_ask(rest: Sequence[Candidate], room: _Room) -> list[Candidate]:
    left, asked = Counter(room.left), []
    for run in rest:
        if not (room.has(run) and room.may_have_slots(run)):
            continue
        if not run.is_recovery:
            if left.setdefault(run.queue, ADMITTED_PER_SLOT) <= 0:
                continue
            left[run.queue] -= 1
        asked.append(run)
    return asked


def _ask(runs: Sequence[Candidate]) -> list[slots.Scope | None]:
    holders = [slots.holder_of(run) for run in runs]
    try:
        return slots.acquire_each(holders)
    except slots.SlotsNotReady:
        slots.rebuild()
        return slots.acquire_each(holders)


def _give_back_unless_held(run: Candidate) -> None:
    """Somebody else was first. While another admission of this attempt may still commit, the slot may be its own; when
    nobody uses it, the sweep drops it."""
    if not Run.objects.active().filter(pk=run.pk, attempt=run.attempt).exists():
        slots.release(slots.holder_of(run))


def _publish(runs: Sequence[Candidate], tokens: dict[int, str]) -> None:
    messages = [publishing.message_of(run, tokens[run.pk]) for run in runs]
    try:
        publishing.send(messages)
    except publishing.BrokerUnreachable as error:
        logger.warning("%s. %d admitted runs are published again by the sweep.", error, len(runs))


def room_of(seen: Outlook) -> dict[str, int]:
    """How many more runs each queue may have admitted: 4 x its workers' slots, less what is out."""
    room = _places(seen)
    return {queue: places - seen.out[queue] for queue, places in room.items()}


def _places(seen: Outlook) -> dict[str, int]:
    """How many runs each queue may have out. One that no worker serves now has some for when one comes."""
    places: Counter[str] = Counter()
    for worker in seen.workers:
        if worker.seen_at > seen.now - WORKER_GONE:
            for queue in worker.queues:
                places[queue] += ADMITTED_PER_SLOT * worker.slots
    default = ADMITTED_PER_SLOT * settings.WATCHBILL.worker_slots
    known = {executor.queue for executor in executors().values()}
    return {queue: places.get(queue, default) for queue in known}


_known: dict[str, int] = {}
_known_since = 0.0


def _capacity(queue: str) -> int:
    """How many runs may be out in a queue, as read by this process a few seconds ago."""
    global _known, _known_since  # one number a process
    if time.monotonic() - _known_since > CAPACITY_SECONDS:
        _known, _known_since = _places(candidates.outlook(statement_now())), time.monotonic()
    return _known.get(queue, ADMITTED_PER_SLOT)
