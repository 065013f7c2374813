"""A watch with many schedules, in a process of its own: its beat driven here tick by tick, or started as a process.

The main process keeps the clock of what is measured from outside; everything here is called through ``Remote``.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from _consumer import QUEUE, consuming, finish, taken
from _memory import tree
from _place import Grounds, place
from _world import end, make_due, populate

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from schedules.models import Schedule

TICK_SECONDS = 0.5
SLOT_TAKES = 3000
# How many schedules are made due in a second at least, while the clock waits.
ROWS_PER_SECOND = 2500


class Remote:
    """A world in its own process, since Django is configured once in each."""

    def __init__(self, ground: Grounds, name: str, *, number: int, schedules: int) -> None:
        self.broker, self.schedules = ground.broker(number), schedules
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        self._pool.submit(_open, ground, name, number, schedules).result()

    def start(self, method: str, *arguments: Any) -> Future[Any]:
        return self._pool.submit(_call, method, arguments)

    def do(self, method: str, *arguments: Any) -> Any:
        return self.start(method, *arguments).result()

    def close(self) -> None:
        self.do("close")
        self._pool.shutdown()


_worlds: list[World] = []


def _open(ground: Grounds, name: str, number: int, schedules: int) -> None:
    _worlds.append(World(ground, name, number=number, schedules=schedules))


def _call(method: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(_worlds[0], method)(*arguments)


class World:
    """Nine in ten schedules are enabled, and fire next in January; organisations have a thousand each, at most."""

    def __init__(self, ground: Grounds, name: str, *, number: int, schedules: int) -> None:
        self._stack = ExitStack()
        self.place = self._stack.enter_context(place(ground, name, number=number))
        next_run = "t.next_run_at + make_interval(mins => (i % 1440)::int)"
        populate(
            schedules=schedules,
            organisations=max(10, schedules // 1000),
            enabled="i % 10 <> 0",
            next_run_at=f"CASE WHEN i % 10 = 0 THEN NULL ELSE {next_run} END",
            expression="(i % 60) || ' ' || (i / 60 % 24) || ' 1 1 *'",
        )
        self._make_room(schedules)
        self.scheduler: Any = None

    def _make_room(self, runs: int) -> None:
        """Workers whose slots let so many be admitted at once; they take nothing."""
        from django.utils.timezone import now

        from schedules.engine import slots
        from schedules.models import WorkerProcess

        WorkerProcess.objects.create(
            name="room", queues=[QUEUE], slots=runs, started_at=now(), seen_at=now() + timedelta(days=1)
        )
        slots.rebuild()

    def drive(self) -> None:
        """Make a beat in this process, as ``celery beat`` does, and let it lead."""
        from config.celery import app
        from schedules.beat import WatchbillScheduler

        self.scheduler = WatchbillScheduler(app=app)
        self.scheduler.tick()

    def prepare(self, count: int) -> float:
        """Let so many be due at once, soon. Returns when."""
        fire = datetime.fromtimestamp(math.ceil(time.time() + 2 + count / ROWS_PER_SECOND), tz=UTC)
        made = make_due(self._enabled(0, count), fire)
        assert made == count, f"only {made} schedules are enabled"
        self.scheduler.tick()
        assert time.time() < fire.timestamp(), "they were due before all was ready"
        return fire.timestamp()

    def tick_from(self, moment: float, count: int) -> None:
        """Tick from this moment on until so many messages were published, then end their runs."""
        from schedules.engine.connection import client

        time.sleep(max(0.0, moment - time.time()))
        while client().llen(QUEUE) < count:
            time.sleep(self.scheduler.tick())
        self._clear()

    def _clear(self) -> None:
        from schedules.engine import slots
        from schedules.engine.connection import client
        from schedules.models import Run

        client().flushdb()
        end(Run.objects.active())
        slots.rebuild()

    def _enabled(self, first: int, count: int) -> QuerySet[Schedule]:
        from schedules.models import Schedule

        rows = Schedule.objects.filter(enabled=True).exclude(name="template").order_by("pk")
        return Schedule.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[first : first + count]))

    def idle(self, seconds: float) -> list[float]:
        """Milliseconds of each tick when nothing is due, at beat's own pace: every other one sweeps."""
        taken_ms = []
        for _ in range(max(2, int(seconds / TICK_SECONDS))):
            begun = time.perf_counter()
            self.scheduler.tick()
            taken_ms.append((time.perf_counter() - begun) * 1000)
            time.sleep(TICK_SECONDS)
        return taken_ms

    def take_slots(self) -> list[float]:
        """Microseconds to take a slot of organisation, schedule and agent, each time for another run."""
        from schedules.engine import slots

        scopes = [slots.Scope(name="organisation:1", limit=10**6), slots.Scope(name="schedule:1", limit=10**6)]
        scopes += slots.agent_scopes(1, 10**6, alone=False)
        taken_us = []
        for number in range(SLOT_TAKES):
            holder = slots.Holder(key=f"bench-{number}", attempt=1, scopes=scopes)
            begun = time.perf_counter()
            full = slots.acquire(holder)
            taken_us.append((time.perf_counter() - begun) * 1e6)
            assert full is None
        self._clear()
        return taken_us

    def start_beat(self) -> float:
        """Seconds from starting the process to the first message that it published."""
        if self.scheduler:
            self.scheduler.close()
            self.scheduler = None
        make_due(self._enabled(0, 1), datetime.fromtimestamp(int(time.time()) - 1, tz=UTC))
        begun = time.monotonic()
        self.place.beat()
        while not (keys := taken()):
            time.sleep(0.002)
        started = time.monotonic() - begun
        finish(keys)
        return started

    def end_beat(self) -> None:
        self.place.stop("beat")

    def beat_memory(self) -> float:
        return tree(self.place.watch.processes["beat"].pid)

    def edit(self) -> float:
        """Seconds by which a fire that an edit moved to the very next second is published late."""
        from fleet.actors import Actor
        from schedules.services.schedules import schedule_update

        schedule = self._enabled(1, 1).get()
        fire = datetime.fromtimestamp(math.ceil(time.time() + 0.2), tz=UTC)
        expression = f"{fire.second} {fire.minute} {fire.hour} * * *"
        schedule_update(schedule=schedule, actor=Actor.command("benchmark"), expression=expression)
        while not (keys := taken()):
            time.sleep(0.002)
        late = time.time() - fire.timestamp()
        finish(keys)
        return late

    def lateness(self, per_second: int, seconds: int) -> list[float]:
        """Milliseconds from each fire to its message on Redis, with so many due every second."""
        from schedules.models import Run

        wanted = per_second * seconds
        first = math.ceil(time.time() + 5 + wanted / ROWS_PER_SECOND)
        for number in range(seconds):
            fire = datetime.fromtimestamp(first + number, tz=UTC)
            make_due(self._enabled(10 + number * per_second, per_second), fire)
        assert time.time() < first, "they were due before all was ready"
        with consuming() as seen:
            while len(seen) < wanted and time.time() < first + 2 * seconds + 60:
                time.sleep(0.2)
        rows = Run.objects.filter(pk__in=seen).values_list("pk", "fire_at")
        fires = {key: fire.timestamp() for key, fire in rows if fire}
        never = [(time.time() - first) * 1000] * (wanted - len(seen))
        return [(moment - fires[key]) * 1000 for key, moment in seen.items()] + never

    def close(self) -> None:
        if self.scheduler:
            self.scheduler.close()
        self._stack.close()
