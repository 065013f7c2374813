"""Throws the faults, heals them in time, and measures how long the watch needs to go on."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.chaos import timeline
from tests.chaos.faults import KINDS, thrown
from tests.chaos.messages import Postman
from tests.chaos.options import Options
from tests.chaos.plant import Plant

_STEP = 0.1
_LOOK_SECONDS = 0.5
# A calm after so many faults: everything is healed, and all that was hit has to go on.
CALM_EVERY = {True: 6, False: 50}
_SAYS_EVERY = 10


class Storm:
    """One seed's faults on one plant."""

    def __init__(self, plant: Plant, options: Options, say: Callable[[str], None]) -> None:
        self.plant, self.options, self._say = plant, options, say
        dice = random.Random(options.seed)
        self.faults = thrown(options, dice)
        self.postman = Postman(dice)
        self.thrown: Counter[str] = Counter()
        self.recoveries: list[float] = []
        #: Times in which a process was stopped by us: (begin, end).
        self.frozen: list[tuple[float, float]] = []
        self._healing: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._looked = 0.0

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._healing, (time.monotonic() + seconds, next(self._numbers), work))

    def note_frozen(self, seconds: float) -> None:
        self.frozen.append((time.time(), time.time() + seconds))

    def rage(self) -> None:
        """All faults, with a calm now and then and one at the end."""
        for number, fault in enumerate(self.faults, start=1):
            self._wait(fault.pause)
            KINDS[fault.kind].does(self, fault)
            self.thrown[fault.kind] += 1
            if self.options.fast or number % _SAYS_EVERY == 0:
                self._say(f"{number} of {len(self.faults)} faults: {fault.kind} ({fault.part})")
            if number % CALM_EVERY[self.options.fast] == 0 or number == len(self.faults):
                self._calm()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.turn()
            time.sleep(min(_STEP, left))

    def turn(self) -> None:
        """What has to be done all along."""
        while self._healing and self._healing[0][0] <= time.monotonic():
            heapq.heappop(self._healing)[2]()
        self.plant.look_after()
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self.postman.look(self.plant.redis.client)

    def _calm(self) -> None:
        """Heal, then measure until every run that was out when it was healed has gone on, and new ones start."""
        while self._healing:
            self.turn()
            time.sleep(_STEP)
        self.plant.heal()
        healed, clock = time.monotonic(), time.time()
        out, started, last = patiently(_out_now), False, [""]
        while (out or not started) and time.monotonic() - healed < 2 * self.options.recovery_limit:
            self.turn()
            time.sleep(_STEP)
            seen = self._seen_lately()
            started = started or any(line.kind == "start" and line.at > clock for line in seen)
            busy = {line.run for line in seen if line.at > time.time() - 1}
            still, last = patiently(_out_now), sorted(out)
            out = {run: attempt for run, attempt in out.items() if still.get(run) == attempt and run not in busy}
        self.recoveries.append(time.monotonic() - healed)
        self._say(f"calm: all went on after {self.recoveries[-1]:.1f} s; last came {', '.join(last[:3]) or 'a start'}")

    def _seen_lately(self) -> list[timeline.Line]:
        """The last lines of the witness."""
        with self.plant.trace.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 20_000))
            return timeline.parse(file.read().decode(errors="replace").partition("\n")[2])


def _out_now() -> Mapping[str, tuple[int, str, str]]:
    """What runs or has a message out: its attempt and tokens."""
    from schedules.models import Run

    rows = Run.objects.holding_slots().values_list("job_run_id", "attempt", "claim_token", "admission_token")
    return {key: (attempt, claim, admission) for key, attempt, claim, admission in rows}


def patiently(ask: Callable[[], Any]) -> Any:
    """Ask the database, which may have been restarted since it was asked last."""
    from django.db import DatabaseError, InterfaceError, connection

    for _ in range(100):
        try:
            return ask()
        except (DatabaseError, InterfaceError):
            connection.close()
            time.sleep(0.3)
    return ask()
