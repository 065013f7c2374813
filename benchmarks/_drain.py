"""How many no-ops a second get done: by Watchbill from due to finished, by Celery from queued to acknowledged."""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from _peers import Peer
from _world import end as end_runs
from _world import make_due

if TYPE_CHECKING:
    from _place import Place
    from django.db.models import QuerySet

    from schedules.models import Schedule

WARM_UP = 100
# What has not ended by then is cancelled: the rate is that of so many seconds.
LONGEST_SECONDS = 240.0


class Side(Protocol):
    @property
    def name(self) -> str: ...

    def round(self) -> float:
        """Runs a second, with processes that were started for it and are warm."""


def in_turn(sides: Sequence[Side], rounds: int) -> dict[str, float]:
    """The median rate of each."""
    rates: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(1, rounds + 1):
        for side in sides:
            rates[side.name].append(side.round())
            print(f"  round {number}, {side.name}: {rates[side.name][-1]:.0f}/s", flush=True)
    return {name: statistics.median(values) for name, values in rates.items()}


class Ours:
    """A real beat and a real worker. The clock goes from the fire to the finish of the last run."""

    name = "Watchbill"

    def __init__(self, place: Place, schedules: QuerySet[Schedule], *, count: int, slots: int) -> None:
        self.place, self.schedules, self.count, self.slots = place, schedules, count, slots

    def round(self) -> float:
        self.place.worker(slots=self.slots)
        self.place.beat()
        try:
            self._drain(min(WARM_UP, self.count))
            return self._drain(self.count)
        finally:
            for name in ("beat", "worker"):
                self.place.stop(name)

    def _drain(self, count: int) -> float:
        from django.db.models import Count, Max

        from schedules.models import Run

        last = Run.objects.aggregate(last=Max("pk"))["last"] or 0
        done = Run.objects.filter(pk__gt=last, status="success")
        fire = datetime.fromtimestamp(math.ceil(time.time() + 1), tz=UTC)
        assert make_due(self.schedules.filter(pk__in=list(self._first(count))), fire) == count
        if not until(lambda: done.count() >= count, LONGEST_SECONDS, every=0.25):
            self._give_up()
        rows = done.aggregate(count=Count("pk"), last=Max("finished_at"))
        return float(rows["count"] / (rows["last"] - fire).total_seconds())

    def _first(self, count: int) -> Iterable[int]:
        return self.schedules.order_by("pk").values_list("pk", flat=True)[:count]

    def _give_up(self) -> None:
        from schedules.models import Run

        print(f"    not done in {LONGEST_SECONDS:.0f} s: the rest is cancelled", flush=True)
        end_runs(Run.objects.active(), "cancelled")
        client(self.place.grounds.broker(0)).flushdb()


class Theirs:
    """One worker of the peer, with all messages in its queue at once: publishing costs it nothing."""

    def __init__(self, name: str, app: str, peer: Peer, *, count: int, slots: int) -> None:
        self.name, self.app, self.peer, self.count, self.slots = name, app, peer, count, slots
        self.redis = client(peer.environment["PEER_BROKER"])

    def round(self) -> float:
        # New ones for each round: the result of a task that is known already costs less to store.
        self.peer.run("fill.py", self.app, str(WARM_UP), "warm")
        self.peer.run("fill.py", self.app, str(self.count), "parked")
        worker = self.peer.worker(self.app, slots=self.slots)
        try:
            self._drain("warm", WARM_UP)
            return self._drain("parked", self.count)
        finally:
            end(worker)
            self.redis.flushdb()

    def _drain(self, filled: str, count: int) -> float:
        begun = time.monotonic()
        self.redis.rename(filled, "peer")
        until(self._is_done, LONGEST_SECONDS, every=0.005)
        taken, left = time.monotonic() - begun, self._left()
        if left:
            print(f"    not done in {LONGEST_SECONDS:.0f} s: {left} are thrown away", flush=True)
            self.redis.delete("peer")
        return (count - left) / taken

    def _is_done(self) -> bool:
        """Nothing waits and nothing is unacknowledged; asked twice, since a message is in neither on its way."""
        return all(self._left() == 0 for _ in range(2))

    def _left(self) -> int:
        pipeline = self.redis.pipeline(transaction=True)
        pipeline.llen("peer")
        pipeline.hlen("unacked")
        time.sleep(0.002)
        return int(sum(pipeline.execute()))


def client(url: str) -> Any:
    from redis import Redis

    return Redis.from_url(url)


def until(what: Callable[[], bool], seconds: float, *, every: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    process.wait(timeout=30)
