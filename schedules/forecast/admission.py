"""Which of the waiting runs start now, in their order, without a look at those that can't."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from schedules.forecast.outcomes import Scope, Wait
from schedules.forecast.places import Places
from schedules.forecast.waiting import Lane, Run, Waiting


class Admission:
    """The queue at the door of the places."""

    def __init__(self, waiting: Waiting, places: Places) -> None:
        self._waiting = waiting
        self._places = places
        self._was_full = False

    def startable(self, lanes: Iterable[Lane], *, somebody_left: bool) -> Iterator[Run]:
        """The runs that start now, one at a time: whoever asks lets each in before asking for the next.

        ``lanes`` are those in which a run came, or left its place. In the others nothing has changed, unless the
        whole organisation was full before.
        """
        runs = self._in_order() if self._was_full and somebody_left else self._of_lanes(lanes)
        yield from runs
        self._was_full = self._places.organisation_full

    def wait_of(self, run: Run) -> Wait:
        """What a run that can't start waits for."""
        if (scope := self._places.full_scope(run.job)) is not None:
            return self._places.wait_for(run.job, scope)
        barrier = self._waiting.barred_by(run)
        return Wait(scope="held", limit=1, behind=(barrier.job.name,) if barrier else ())

    def _in_order(self) -> Iterator[Run]:
        heads, index = self._waiting.heads, 0
        while index < len(heads):
            run = heads[index][1]
            if self._nobody_behind(run):
                return
            if self._obstacle(run) is None:
                yield run  # the next run of its job comes later in the order: behind this place
            else:
                index += 1

    def _of_lanes(self, lanes: Iterable[Lane]) -> Iterator[Run]:
        fronts = [(self._waiting.lanes[lane][0], 0, lane) for lane in lanes if self._waiting.lanes.get(lane)]
        heapify(fronts)
        while fronts:
            (_, run), index, lane = heappop(fronts)
            if self._nobody_behind(run):
                return
            obstacle = self._obstacle(run)
            if obstacle == "agent" or (obstacle == "held" and self._places.is_held(run.job)):
                continue  # for the rest of its lane as well
            if obstacle is None:
                yield run
            else:
                index += 1
            heads = self._waiting.lanes[lane]
            if index < len(heads):
                heappush(fronts, (heads[index], index, lane))

    def _nobody_behind(self, run: Run) -> bool:
        """The organisation is full, and recoveries, which pass its limit, come first in the order."""
        return self._places.organisation_full and run.job.hold != "recovery"

    def _obstacle(self, run: Run) -> Scope | None:
        return self._places.full_scope(run.job) or ("held" if self._waiting.barred_by(run) else None)
