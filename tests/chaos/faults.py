"""The faults: which there are, how often each is thrown, and what it does to the plant.

All dice are thrown before the first fault, so that a seed names the same faults in the same order with the same
lengths. What they hit is the watch's own business: threads and processes are not repeated to the millisecond.
"""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from tests.chaos.options import Options
from tests.chaos.plant import BEATS, PARTS, THREADED, WEB, WORKERS
from tests.chaos.proxy import Line, Mode

if TYPE_CHECKING:
    from tests.chaos.storm import Storm

_CUTS: tuple[Mode, ...] = ("refuse", "silent")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One throw: after ``pause`` seconds of ``kind``, to ``part``, healed after ``seconds``."""

    kind: str
    pause: float
    part: str
    seconds: float
    mode: Mode
    everybody: bool


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How often a kind is thrown beside the others, to which parts, for how long, and what it does."""

    weight: int
    does: Callable[[Storm, Fault], None]
    parts: tuple[str, ...] = (WEB,)
    seconds: tuple[float, float] = (0.0, 1.0)
    postgresql_only: bool = False
    #: Longer than a lease: then ``seconds`` is added to it.
    past_lease: bool = False


def thrown(options: Options, dice: random.Random) -> list[Fault]:
    """All faults of this seed."""
    kinds = {
        name: kind
        for name, kind in KINDS.items()
        if (options.database == "postgresql" or not kind.postgresql_only) and (not options.only or name in options.only)
    }
    names = dice.choices(list(kinds), weights=[kind.weight for kind in kinds.values()], k=options.faults)
    return [_throw(name, kinds[name], options, dice) for name in names]


def _throw(name: str, kind: Kind, options: Options, dice: random.Random) -> Fault:
    return Fault(
        kind=name,
        pause=dice.uniform(0.4, 3.2),
        part=dice.choice(kind.parts),
        seconds=dice.uniform(*kind.seconds) + (options.lease if kind.past_lease else 0.0),
        mode=dice.choice(_CUTS),
        everybody=dice.random() < 0.5,
    )


def _kill(storm: Storm, fault: Fault) -> None:
    storm.plant.kill_group(fault.part)
    storm.later(fault.seconds, lambda: storm.plant.begin(fault.part))


def _kill_parent(storm: Storm, fault: Fault) -> None:
    storm.plant.kill_parent(fault.part)
    storm.later(fault.seconds, lambda: storm.plant.begin(fault.part))


def _kill_child(storm: Storm, fault: Fault) -> None:
    import os

    if children := storm.plant.children(fault.part):
        with contextlib.suppress(ProcessLookupError):
            os.kill(children[-1], signal.SIGKILL)


def _freeze(storm: Storm, fault: Fault) -> None:
    storm.plant.signal_group(fault.part, signal.SIGSTOP)
    storm.note_frozen(fault.seconds)
    storm.later(fault.seconds, lambda: storm.plant.signal_group(fault.part, signal.SIGCONT))


def _redis_restart(storm: Storm, fault: Fault) -> None:
    storm.plant.redis.end()
    storm.later(fault.seconds, storm.plant.redis.start)


def _redis_wiped(storm: Storm, fault: Fault) -> None:
    storm.plant.redis.end()
    storm.plant.redis.wipe()
    storm.later(fault.seconds, storm.plant.redis.start)


def _redis_flushed(storm: Storm, _fault: Fault) -> None:
    with contextlib.suppress(RedisError):
        storm.plant.redis.client.flushall()


def _redis_full(storm: Storm, fault: Fault) -> None:
    """No memory left: it answers, and takes nothing more."""
    _set_memory(storm, "1mb")
    storm.later(fault.seconds, lambda: _set_memory(storm, "0"))


def _set_memory(storm: Storm, limit: str) -> None:
    with contextlib.suppress(RedisError):
        storm.plant.redis.client.config_set("maxmemory", limit)


def _postgres_fast(storm: Storm, fault: Fault) -> None:
    _postgres(storm, fault, signal.SIGINT)


def _postgres_immediate(storm: Storm, fault: Fault) -> None:
    _postgres(storm, fault, signal.SIGQUIT)


def _postgres(storm: Storm, fault: Fault, number: int) -> None:
    if (postgres := storm.plant.postgres) is not None:
        postgres.end(number)
        storm.later(fault.seconds, postgres.start)


def _cut_redis(storm: Storm, fault: Fault) -> None:
    _cut(storm, fault, [storm.plant.lines[part].redis for part in _hit(fault)])


def _cut_database(storm: Storm, fault: Fault) -> None:
    _cut(storm, fault, [line for part in _hit(fault) if (line := storm.plant.lines[part].database)])


def _isolate(storm: Storm, fault: Fault) -> None:
    """One part alone can't reach the database for longer than a lease."""
    _cut(storm, fault, [line for line in [storm.plant.lines[fault.part].database] if line])


def _hit(fault: Fault) -> tuple[str, ...]:
    return PARTS if fault.everybody else (fault.part,)


def _cut(storm: Storm, fault: Fault, lines: list[Line]) -> None:
    for line in lines:
        storm.plant.switchboard.cut(line, fault.mode)

    def heal() -> None:
        for line in lines:
            storm.plant.switchboard.cut(line, "open")

    storm.later(fault.seconds, heal)


def _reset(storm: Storm, fault: Fault) -> None:
    for part in _hit(fault):
        lines = storm.plant.lines[part]
        for line in filter(None, (lines.redis, lines.database)):
            storm.plant.switchboard.reset(line)


def _redeliver(storm: Storm, _fault: Fault) -> None:
    with contextlib.suppress(RedisError):
        storm.postman.redeliver(storm.plant.redis.client, 20)


def _fill(storm: Storm, _fault: Fault) -> None:
    with contextlib.suppress(RedisError):
        storm.postman.poison(storm.plant.redis.client, 200 if storm.options.fast else 1500)


_PREFORK = tuple(part for part in WORKERS if part != THREADED)
KINDS: dict[str, Kind] = {
    "beat killed": Kind(weight=7, does=_kill, parts=BEATS, seconds=(0, 6)),
    "worker killed": Kind(weight=10, does=_kill, parts=WORKERS, seconds=(0, 6)),
    "worker's parent killed": Kind(weight=5, does=_kill_parent, parts=_PREFORK, seconds=(0, 3)),
    "worker's child killed": Kind(weight=10, does=_kill_child, parts=_PREFORK),
    "web killed": Kind(weight=4, does=_kill, parts=(WEB,), seconds=(0, 2)),
    "worker frozen": Kind(weight=5, does=_freeze, parts=WORKERS, seconds=(0.5, 5), past_lease=True),
    "beat frozen": Kind(weight=3, does=_freeze, parts=BEATS, seconds=(2, 14)),
    "redis restarted": Kind(weight=7, does=_redis_restart, seconds=(0, 5)),
    "redis restarted empty": Kind(weight=5, does=_redis_wiped, seconds=(0, 5)),
    "redis flushed": Kind(weight=7, does=_redis_flushed),
    "redis out of memory": Kind(weight=5, does=_redis_full, seconds=(1, 6)),
    "redis cut off": Kind(weight=9, does=_cut_redis, parts=PARTS, seconds=(1, 8)),
    "connections reset": Kind(weight=6, does=_reset, parts=PARTS),
    "messages redelivered": Kind(weight=12, does=_redeliver),
    "broker filled with poison": Kind(weight=4, does=_fill),
    "postgresql restarted": Kind(weight=6, does=_postgres_fast, seconds=(0, 3), postgresql_only=True),
    "postgresql crashed": Kind(weight=6, does=_postgres_immediate, seconds=(0, 3), postgresql_only=True),
    "database cut off": Kind(weight=9, does=_cut_database, parts=PARTS, seconds=(1, 8), postgresql_only=True),
    "worker isolated": Kind(
        weight=4, does=_isolate, parts=WORKERS, seconds=(1, 6), past_lease=True, postgresql_only=True
    ),
}
