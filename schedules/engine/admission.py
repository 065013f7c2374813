"""Admission: a waiting run gets its slots, then a token, then its message is published. In that order.

Fair: round-robin over organisations; inside one, by priority that grows with waiting, then by time. At most W runs
of a queue are admitted but unclaimed (four times the slots of its workers), so that the broker holds no backlog.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest

from django.conf import settings
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber

from schedules.engine import lifecycle, publishing, slots
from schedules.engine.holds import Bars, make_way
from schedules.executors.registry import executors
from schedules.models import Run, WorkerProcess
from schedules.querysets import ALONE

logger = logging.getLogger(__name__)

CANDIDATES_PER_ORGANISATION = 50
CANDIDATES_PER_SCHEDULE = 10
CANDIDATES_PER_AGENT = 20
ADMITTED_PER_SLOT = 4
AGEING = timedelta(minutes=1)
WORKER_GONE = timedelta(seconds=30)


def admit_waiting(now: datetime) -> list[Run]:
    """Admit and publish what waits, as far as slots and queues go. Returns the admitted runs.

    Raises ``RedisError`` when Redis can't be reached: everything stays queued.
    """
    return admit(candidates(now), now)


def admit(runs: Iterable[Run], now: datetime) -> list[Run]:
    """Admit these waiting runs in this order, publish them, and return those that were admitted."""
    room = _Room(now)
    ready = [run for run in runs if _may_run(run, now) and room.has(run) and _take_slots(run, room, now)]
    # In one order everywhere: two admissions that update the same rows must not wait for each other.
    winners = set(lifecycle.runs_admit(sorted(ready, key=lambda run: run.pk), now=now))
    won = [run for run in ready if run in winners]
    for run in ready:
        if run not in winners:
            _give_back_unless_held(run)
    if won:
        _publish(won)
    return won


class _Room:
    """What is known to be full in this pass, so that a full scope is asked for once."""

    def __init__(self, now: datetime) -> None:
        self.full: set[slots.Scope] = set()
        self.left = queue_room(now)
        self.bars = Bars(now)

    def has(self, run: Run) -> bool:
        # A recovery is asked for each time, also with a full queue, since who refuses it has to make way.
        if run.hold == Run.Hold.RECOVERY:
            return True
        if self.left.get(run.queue, ADMITTED_PER_SLOT) <= 0 or self.bars.stop(run):
            return False
        # One that has to be reaped holds its slots already: the scope that it fills itself is not full for it.
        return bool(run.handle) or self.full.isdisjoint(slots.scopes_of(run))

    def took(self, run: Run) -> None:
        self.left[run.queue] = self.left.get(run.queue, ADMITTED_PER_SLOT) - 1


def candidates(now: datetime) -> Iterator[Run]:
    """Waiting runs in fair order, a bounded number of each organisation and schedule."""
    organisations = Run.objects.waiting(now).order_by().values_list("organisation_id", flat=True).distinct()
    lanes = [_lane(organisation_id, now) for organisation_id in sorted(organisations)]
    for turn in zip_longest(*lanes):
        yield from (run for run in turn if run is not None)


def _first(run: Run, now: datetime) -> tuple[bool, float, datetime | None, int]:
    return (run.hold != Run.Hold.RECOVERY, -urgency(run, now), run.next_attempt_at, run.pk)


def _lane(organisation_id: int, now: datetime) -> list[Run]:
    """One organisation's candidates: half of them the most urgent, half the oldest, so that none starves.

    Those that need their agent alone come on top: they may be young and have to be seen all the same.
    """
    # A schedule or an agent at its limit must not fill the lane with runs that can't be admitted.
    rank = Window(RowNumber(), partition_by=F("schedule_id"), order_by=[F("priority").desc(), F("next_attempt_at")])
    agent_rank = Window(RowNumber(), partition_by=F("agent_id"), order_by=[F("priority").desc(), F("next_attempt_at")])
    lane = Run.objects.waiting(now).filter(organisation_id=organisation_id)
    ranked = lane.annotate(rank=rank, agent_rank=agent_rank).filter(rank__lte=CANDIDATES_PER_SCHEDULE)
    waiting = ranked.filter(Q(agent=None) | Q(agent_rank__lte=CANDIDATES_PER_AGENT)).values_list("pk", flat=True)
    half = CANDIDATES_PER_ORGANISATION // 2
    keys = {
        *waiting.order_by("-priority", "next_attempt_at")[:half],
        *waiting.order_by("next_attempt_at")[:half],
        *lane.filter(ALONE).order_by("next_attempt_at").values_list("pk", flat=True)[:half],
    }
    runs = Run.objects.filter(pk__in=keys).with_limits()
    return sorted(runs, key=lambda run: _first(run, now))


def urgency(run: Run, now: datetime) -> float:
    """Priority plus one for each minute of waiting: urgent goes first, patient is not forgotten."""
    assert run.next_attempt_at is not None  # noqa: S101 - a queued run has a time (run_queued_has_time)
    return run.priority + (now - run.next_attempt_at) / AGEING


def _may_run(run: Run, now: datetime) -> bool:
    if run.start_by and now > run.start_by and run.attempt == 1 and not run.handle:
        cause = f"It could not start until {run.start_by:%Y-%m-%d %H:%M:%S} UTC (start within)."
        lifecycle.run_skip(run, cause=cause, now=now)
        return False
    if run.executor in executors():
        return True
    lifecycle.run_refuse(
        run,
        code="executor_unknown",
        message=f"No executor named {run.executor!r} is installed. Install it or change the schedule.",
        now=now,
    )
    return False


def _take_slots(run: Run, room: _Room, now: datetime) -> bool:
    holder = slots.holder_of(run)
    try:
        full = slots.acquire(holder)
    except slots.SlotsNotReady:
        slots.rebuild()
        full = slots.acquire(holder)
    if full is not None:
        room.full.add(full)
        if run.hold == Run.Hold.RECOVERY:
            make_way(run, now)
        return False
    room.took(run)
    return True


def _give_back_unless_held(run: Run) -> None:
    """Somebody else was first. When that was another admission of the same run, the slot is its own."""
    if not Run.objects.holding_slots().filter(pk=run.pk, attempt=run.attempt).exists():
        slots.release(slots.holder_of(run))


def _publish(runs: Sequence[Run]) -> None:
    try:
        publishing.publish(runs)
    except publishing.BrokerUnreachable as error:
        logger.warning("%s. %d admitted runs are published again by the sweep.", error, len(runs))


def queue_room(now: datetime) -> dict[str, int]:
    """How many more runs each queue may have admitted: 4 x its workers' slots, less what is out."""
    out = dict(Run.objects.admitted().order_by().values_list("queue").annotate(Count("pk")))
    room: dict[str, int] = {}
    for worker in WorkerProcess.objects.filter(seen_at__gt=now - WORKER_GONE):
        for queue in worker.queues:
            room[queue] = room.get(queue, 0) + ADMITTED_PER_SLOT * worker.slots
    default = ADMITTED_PER_SLOT * settings.WATCHBILL.worker_slots
    queues = {executor.queue for executor in executors().values()}
    return {queue: room.get(queue, default) - out.get(queue, 0) for queue in queues}
