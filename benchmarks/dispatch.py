"""How fast due schedules become messages, beside a million that are not due; and what the beat costs when nothing is.

The same is asked of django-celery-beat and RedBeat, in turn, on the same servers, with fewer entries.
"""

from __future__ import annotations

import argparse
import statistics
import time

from _beats import Remote
from _consumer import QUEUE
from _drain import client
from _latency import percentile
from _place import grounds
from _report import Figure, report
from _triggers import Triggers

SMALL, SMALL_DUE = 1_000, 900
GOAL_RATE, FLOOR_RATE, GOAL_SAME = 10_000, 5_000, 1.5
GOAL_TICK_MS, GOAL_EDIT_S, GOAL_START_S, GOAL_MEMORY_MB = 5.0, 1.0, 2.0, 150.0
GOAL_LATE_MS, GOAL_SLOT_US = 500.0, 150.0
EDITS, IDLE_SECONDS = 10, 20.0
Measured = dict[str, list[float]]


def main() -> None:
    arguments = _arguments().parse_args()
    with grounds(postgres=True) as ground:
        print("filling ...", flush=True)
        peers = Triggers(ground, entries=arguments.entries, due=arguments.due) if arguments.entries else None
        large = Remote(ground, "large", number=1, schedules=arguments.schedules)
        small = Remote(ground, "small", number=2, schedules=SMALL)
        try:
            measured = Sides(arguments, peers, large, small).measure()
        finally:
            large.close()
            small.close()
    figures = [*_rates(arguments, measured, peers), *_figures(arguments, measured)]
    if peers:
        figures += _beside_peers(measured, peers)
    report("dispatch", figures, write=arguments == _arguments().parse_args([]))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1_000_000, help="nine in ten of them enabled")
    parser.add_argument("--due", type=int, default=10_000, help="at once")
    parser.add_argument("--entries", type=int, default=100_000, help="of the peers; 0: without them")
    parser.add_argument("--per-second", type=int, default=1_000, help="due every second")
    parser.add_argument("--seconds", type=int, default=60, help="for so long")
    parser.add_argument("--rounds", type=int, default=3)
    return parser


class Sides:
    """The two sizes of ours and the peers; what each turn gave is kept by its name."""

    def __init__(self, arguments: argparse.Namespace, peers: Triggers | None, large: Remote, small: Remote) -> None:
        self.arguments, self.peers, self.large, self.small = arguments, peers, large, small
        self.measured: Measured = {}

    def measure(self) -> Measured:
        for world in (self.large, self.small):
            world.do("drive")
        for _ in range(self.arguments.rounds):
            self._driven()
            if self.peers:
                self.peers.round()
        for number in range(self.arguments.rounds):
            self._started(last=number + 1 == self.arguments.rounds)
        self._as_processes()
        return self.measured

    def _note(self, name: str, *values: float) -> None:
        self.measured.setdefault(name, []).extend(values)
        print(f"  {name}: {statistics.median(values):.3f}", flush=True)

    def _driven(self) -> None:
        """Ticks of a beat that was made in the worlds' own processes."""
        self._note("burst, large", _burst(self.large, self.arguments.due))
        for name, world in (("large", self.large), ("small", self.small)):
            self._note(f"due as in small, {name}", _burst(world, SMALL_DUE))
            self._note(f"idle tick, {name}", *world.do("idle", IDLE_SECONDS))
        self._note("slot", *self.large.do("take_slots"))

    def _started(self, *, last: bool) -> None:
        for name, world in (("large", self.large), ("small", self.small)):
            self._note(f"start, {name}", world.do("start_beat"))
            if not last:
                world.do("end_beat")

    def _as_processes(self) -> None:
        """Beats that run by themselves."""
        self._note("edit", *(self.large.do("edit") for _ in range(EDITS)))
        self._note("late", *self.large.do("lateness", self.arguments.per_second, self.arguments.seconds))
        for name, world in (("large", self.large), ("small", self.small)):
            self._note(f"memory, {name}", world.do("beat_memory"))


def _burst(world: Remote, count: int) -> float:
    """Seconds from the moment at which so many are due until the last of their messages is on Redis."""
    moment = world.do("prepare", count)
    ticking = world.start("tick_from", moment, count)
    taken: float = _until_published(world, count) - moment
    ticking.result()
    return taken


def _until_published(world: Remote, count: int) -> float:
    redis = client(world.broker)
    deadline = time.time() + 600
    while redis.llen(QUEUE) < count:
        if time.time() > deadline:
            raise TimeoutError(f"only {redis.llen(QUEUE)} of {count} were published in ten minutes")
        time.sleep(0.002)
    return time.time()


def _figures(arguments: argparse.Namespace, measured: Measured) -> list[Figure]:
    large, middle = (
        f"{arguments.schedules} schedules",
        {name: statistics.median(each) for name, each in measured.items()},
    )
    worst_tick, late = percentile(measured["idle tick, large"], 99), percentile(measured["late"], 99)
    return [
        _at_most(f"idle tick, {large}, p50, ms", middle["idle tick, large"], GOAL_TICK_MS),
        _at_most(f"idle tick, {large}, p99, ms", worst_tick, GOAL_TICK_MS),
        _at_most(
            f"an edit's fire is published late by, {large}, worst of {EDITS}, s", max(measured["edit"]), GOAL_EDIT_S
        ),
        _at_most(f"start of the beat to its first message, {large}, s", middle["start, large"], GOAL_START_S),
        _at_most(f"memory of the beat after all this, {large}, MB", middle["memory, large"], GOAL_MEMORY_MB),
        _at_most(
            f"{arguments.per_second} due every second for {arguments.seconds} s, lateness p99, ms", late, GOAL_LATE_MS
        ),
        _at_most("a slot of organisation, schedule and agent, p50, microseconds", middle["slot"], GOAL_SLOT_US),
        _same(f"{SMALL_DUE} due at once, {large}, s", middle, "due as in small"),
        _same(f"idle tick, {large}, p50, ms", middle, "idle tick"),
        _same(f"start of the beat to its first message, {large}, s", middle, "start"),
        _same(f"memory of the beat, {large}, MB", middle, "memory"),
    ]


def _at_most(name: str, value: float, goal: float) -> Figure:
    return Figure(name, value, "", 0, f"<= {goal}", met=value <= goal)


def _same(name: str, middle: dict[str, float], of: str) -> Figure:
    """The cost follows what is due, not what exists."""
    ours, beside = middle[f"{of}, large"], middle[f"{of}, small"]
    goal = f"<= {GOAL_SAME} x the same"
    return Figure(name, ours, f"the same with {SMALL} schedules", beside, goal, met=ours <= GOAL_SAME * beside)


def _rates(arguments: argparse.Namespace, measured: Measured, peers: Triggers | None) -> list[Figure]:
    rate = arguments.due / statistics.median(measured["burst, large"])
    name = f"planned, admitted, published: {arguments.due} due at once of {arguments.schedules}, runs/s"
    beside = {"": 0.0}
    if peers:
        beside = {f"{peer} with {peers.entries} entries": peers.middle(peer, "rate") for peer in peers.measured}
    goal = f">= {GOAL_RATE}, floor {FLOOR_RATE}"
    return [Figure(name, rate, peer, value, goal, met=rate >= GOAL_RATE) for peer, value in beside.items()]


def _beside_peers(measured: Measured, peers: Triggers) -> list[Figure]:
    edit, memory = statistics.median(measured["edit"]), measured["memory, large"][0]
    return [
        _beside("seconds until an edit is seen", edit, peers, "edit", GOAL_EDIT_S),
        _beside("memory of the beat, MB", memory, peers, "memory", GOAL_MEMORY_MB),
    ]


def _beside(name: str, ours: float, peers: Triggers, theirs: str, goal: float) -> Figure:
    peer = f"django-celery-beat with {peers.entries} entries"
    return Figure(name, ours, peer, peers.middle("django-celery-beat", theirs), f"<= {goal}", met=ours <= goal)


if __name__ == "__main__":
    main()
