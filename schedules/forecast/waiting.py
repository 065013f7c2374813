"""The queue: runs that are due, in the order in which they may start."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from schedules.forecast.jobs import Job
from schedules.forecast.outcomes import Wait

# A step of priority is worth as much as so long a wait (schedules.engine.admission).
AGEING = timedelta(minutes=1)

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Run:
    """One run on its way through the simulation.

    ``order`` is its place in the queue, ``age`` tells who was due first (a recovery counts as older than all). Both
    stay the same all its life, end with ``number`` and so are never equal.
    """

    __slots__ = ("age", "beside", "due", "fire", "job", "order", "over", "scheduled", "started", "wait")

    def __init__(self, job: Job, *, number: int, fire: datetime | None, due: datetime, scheduled: bool = True) -> None:
        self.job = job
        self.fire = fire
        self.due = due
        self.scheduled = scheduled
        self.started: datetime | None = None
        self.over = False
        self.wait: Wait | None = None
        self.beside: tuple[str, ...] = ()
        recovers = job.hold == "recovery"
        # Priority plus the minutes waited sorts, at any moment, as the due time less what priority is worth.
        self.order = (not recovers, due - job.priority * AGEING, due, job.key, number)
        self.age = (_BEFORE_ALL if recovers else due, job.key, number)

    @property
    def waits(self) -> bool:
        return self.started is None and not self.over


Head = tuple[tuple[object, ...], Run]
#: Whoever shares an agent is in one lane, a job without an agent is alone in its own.
Lane = tuple[str, int]


def lane_of(job: Job) -> Lane:
    return ("job", job.key) if job.agent is None else ("agent", job.agent)


class Waiting:
    """Waiting runs. A job's runs all need the same slots, so that only the first of each has to be looked at.

    ``heads`` holds these firsts in order, as pairs of their order and themselves; ``lanes`` the same for each lane.
    """

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.lanes: defaultdict[Lane, list[Head]] = defaultdict(list)
        self._queues: defaultdict[int, list[Head]] = defaultdict(list)
        self._alone: defaultdict[int | None, list[Head]] = defaultdict(list)

    def add(self, run: Run) -> None:
        queue = self._queues[run.job.key]
        former = queue[0] if queue else None
        heappush(queue, (run.order, run))
        if queue[0] is not former:
            if former:
                self._unlist(former)
            self._list(queue[0])
        if run.job.hold != "shared" and run.job.agent is not None:
            heappush(self._alone[run.job.agent], (run.age, run))

    def leave(self, run: Run) -> None:
        """Take out a run that started or is over; it is marked so before."""
        queue = self._queues[run.job.key]
        if not queue or queue[0][1] is not run:
            return  # it is dropped when it comes to the front
        self._unlist(queue[0])
        _drop_gone(queue)
        if queue:
            self._list(queue[0])

    def barred_by(self, run: Run) -> Run | None:
        """The run that waits to have this one's agent alone and comes first: a recovery; of a shared one an older."""
        if run.job.agent is None or run.job.hold == "recovery" or not (queue := self._alone.get(run.job.agent)):
            return None
        _drop_gone(queue)
        first = queue[0][1] if queue else run
        bars = first.job.hold == "recovery" or (run.job.hold == "shared" and first.age < run.age)
        return first if bars else None

    def _list(self, head: Head) -> None:
        insort(self.heads, head)
        insort(self.lanes[lane_of(head[1].job)], head)

    def _unlist(self, head: Head) -> None:
        for heads in (self.heads, self.lanes[lane_of(head[1].job)]):
            del heads[bisect_left(heads, head)]


def _drop_gone(queue: list[Head]) -> None:
    while queue and not queue[0][1].waits:
        heappop(queue)
