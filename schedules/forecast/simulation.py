"""The simulation: a heap of events, and after each instant the queue is let in as far as there is room.

At one instant what ends makes room first, then fires are decided and runs come due, then those that wait start in
their order, and last those give up that could not start in time. Every run takes what its job usually takes and
succeeds. The same input gives the same outcomes, in whatever order its lines stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any

from schedules.forecast.admission import Admission
from schedules.forecast.jobs import Expected, Job, Limits, Line, Present
from schedules.forecast.outcomes import Kind, Outcome
from schedules.forecast.places import Places
from schedules.forecast.waiting import Lane, Run, Waiting, lane_of

MOST_RUNS = 200_000

# The phases of an instant, in order.
_END, _FIRE, _DUE, _LATE = range(4)


class Simulation:
    """What becomes of the fires of ``lines``, none of which lies before ``start``, through an instant.

    ``present`` runs are there at the beginning; their jobs are among the lines. When more than ``most`` runs come
    together the simulation ends early: ``through`` then is how far it came.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        *,
        limits: Limits,
        start: datetime,
        through: datetime,
        present: Sequence[Present] = (),
        most: int = MOST_RUNS,
    ) -> None:
        self.through = through
        self._lines = {line.job.key: line for line in sorted(lines, key=lambda line: line.job.key)}
        self._left = {key: line.job.runs_left for key, line in self._lines.items()}
        self._followers = _followers(self._lines)
        self._places = Places(limits)
        self._waiting = Waiting()
        self._admission = Admission(self._waiting, self._places)
        self._open: dict[Run, None] = {}
        self._active: defaultdict[int, dict[Run, None]] = defaultdict(dict)  # by job; what overlap counts
        self._at_work: defaultdict[int | None, dict[Run, None]] = defaultdict(dict)  # by agent
        self._arrived: list[Run] = []
        self._emptier: set[Lane] = set()  # where somebody left
        self._runs_left = most
        self._numbers = count()
        self._done: list[Outcome] = []
        self._events: list[tuple[datetime, int, int, int, Callable[[Any, datetime], None], Any]] = []
        for each in present:
            self._carry_over(each, start)
        for line in self._lines.values():
            self._await_fire(line, 0)

    def outcomes(self) -> Iterator[Outcome]:
        """One for each expected fire, in the order in which they are certain; then those that are open at the end."""
        while self._events and self._events[0][0] <= self.through:
            now, phase = self._events[0][:2]
            last = max(phase, _DUE)
            while self._events and self._events[0][:2] <= (now, last):
                *_, act, subject = heappop(self._events)
                act(subject, now)
            self._admit(now)
            yield from self._done
            self._done.clear()
            if self._runs_left < 0:
                self.through = now
                break
        for run in self._open:
            yield _outcome(run, "ran" if run.started else "waiting")

    # What happens

    def _at(self, moment: datetime, phase: int, job: Job, act: Callable[[Any, datetime], None], subject: Any) -> None:
        heappush(self._events, (moment, phase, job.key, next(self._numbers), act, subject))

    def _await_fire(self, line: Line, index: int) -> None:
        if index < len(line.fires):
            self._at(line.fires[index].fire, _FIRE, line.job, self._fire, (line, index))

    def _fire(self, of: tuple[Line, int], now: datetime) -> None:
        line, index = of
        self._await_fire(line, index + 1)
        expected = line.fires[index]
        if (text := line.black.text_at(expected.fire)) is not None:
            self._done.append(_no_run(line.job, "blackout", expected, text))
        elif self._left[line.job.key] == 0:
            self._done.append(_no_run(line.job, "limit", expected))
        elif self._overlaps(line.job, now):
            self._done.append(_no_run(line.job, "overlap", expected))
        else:
            self._plan(line.job, expected)

    def _overlaps(self, job: Job, now: datetime) -> bool:
        """Whether an active run keeps the fire from becoming one; under cancel_running it goes instead."""
        active = self._active[job.key]
        if job.overlap == "cancel_running":
            for run in list(active):
                self._close(run, "cancelled", ended=now, text=job.name)
            return False
        return bool(active) if job.overlap == "skip" else job.overlap == "queue_one" and len(active) > 1

    def _plan(self, job: Job, expected: Expected) -> None:
        left = self._left[job.key]
        self._left[job.key] = None if left is None else left - 1
        self._queue(Run(job, number=next(self._numbers), fire=expected.fire, due=expected.due), expected.due)

    def _come_due(self, run: Run, now: datetime) -> None:
        if run.over:
            return
        self._waiting.add(run)
        self._arrived.append(run)
        if run.job.hold == "recovery" and run.job.agent is not None:
            self._at(max(now, run.due + run.job.grace), _DUE, run.job, self._make_way, run)
        if run.job.start_within is not None:
            self._at(max(now, run.due + run.job.start_within), _LATE, run.job, self._give_up, run)

    def _make_way(self, recovery: Run, now: datetime) -> None:
        """Its grace is over. Another recovery is left alone."""
        if recovery.waits:
            for holder in [each for each in self._at_work[recovery.job.agent] if each.job.hold != "recovery"]:
                self._close(holder, "cancelled", ended=now, text=recovery.job.name)

    def _give_up(self, run: Run, now: datetime) -> None:
        del now
        if run.waits:
            self._close(run, "late")

    def _end(self, run: Run, now: datetime) -> None:
        if run.over:
            return
        self._close(run, "ran", ended=now)

    def _admit(self, now: datetime) -> None:
        if self._waiting.heads:
            self._let_in(now)
        self._arrived.clear()
        self._emptier.clear()

    def _let_in(self, now: datetime) -> None:
        lanes = sorted(self._emptier | {lane_of(run.job) for run in self._arrived})
        for run in self._admission.startable(lanes, somebody_left=bool(self._emptier)):
            self._start(run, now)
        for run in self._arrived:
            if run.waits:
                run.wait = self._admission.wait_of(run)

    # Where runs are

    def _carry_over(self, present: Present, start: datetime) -> None:
        job = self._lines[present.job].job
        run = Run(job, number=next(self._numbers), fire=None, due=present.due, scheduled=present.scheduled)
        if present.started is None:
            self._queue(run, max(present.due, start))
            return
        self._note(run)
        self._occupy(run, present.started)
        self._at(max(present.started + job.duration, start), _END, job, self._end, run)

    def _queue(self, run: Run, moment: datetime) -> None:
        self._note(run)
        self._at(moment, _DUE, run.job, self._come_due, run)

    def _note(self, run: Run) -> None:
        self._runs_left -= 1
        self._open[run] = None
        if run.scheduled:
            self._active[run.job.key][run] = None

    def _start(self, run: Run, now: datetime) -> None:
        self._occupy(run, now)
        self._waiting.leave(run)
        self._at(now + run.job.duration, _END, run.job, self._end, run)

    def _occupy(self, run: Run, since: datetime) -> None:
        run.started = since
        if run.job.agent is not None:
            run.beside = tuple(sorted(self._places.on_agent(run.job.agent).names))
        self._places.take(run.job)
        self._at_work[run.job.agent][run] = None

    def _close(self, run: Run, kind: Kind, ended: datetime | None = None, text: str = "") -> None:
        """It is over: out of whatever place it is in, which may let others in. What follows it comes due."""
        run.over = True
        self._emptier.add(lane_of(run.job))
        del self._open[run]
        self._active[run.job.key].pop(run, None)
        if run.started is None:
            self._waiting.leave(run)
        else:
            self._places.free(run.job)
            del self._at_work[run.job.agent][run]
        self._done.append(_outcome(run, kind, ended, text))
        for follower in self._followers.get(run.job.key, ()):
            if ended is not None and (kind == "ran" or follower.follows_cancelled):
                self._queue(Run(follower, number=next(self._numbers), fire=None, due=ended, scheduled=False), ended)


def _followers(lines: Mapping[int, Line]) -> dict[int, list[Job]]:
    followers: defaultdict[int, list[Job]] = defaultdict(list)
    for line in lines.values():
        if line.job.follows is not None:
            followers[line.job.follows].append(line.job)
    return followers


def _outcome(run: Run, kind: Kind, ended: datetime | None = None, text: str = "") -> Outcome:
    return Outcome(
        job=run.job,
        kind=kind,
        fire=run.fire,
        due=run.due,
        started=run.started,
        ended=ended,
        wait=run.wait if run.started != run.due else None,
        beside=run.beside,
        text=text,
    )


def _no_run(job: Job, kind: Kind, expected: Expected, text: str = "") -> Outcome:
    return Outcome(job=job, kind=kind, fire=expected.fire, due=expected.fire, text=text)
