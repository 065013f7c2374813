"""With the usual timings, on the production database: each fault is mended within half a minute."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.test_kill import create, runs, trace
from tests.processes import Watch, watching

LIMIT = 30.0
LOSE = """
from fleet.actors import Actor
from schedules.engine import publishing
from schedules.models import Schedule
from schedules.services.runs import run_now
publishing.send = lambda *_, **__: None
run_now(schedule=Schedule.objects.get(name="unsent"), actor=Actor.system("test"))
"""
HOLDER = "from schedules.models import *; print(EngineLease.objects.get(name='beat').holder.split(':')[1])"


@pytest.fixture
def watch(tmp_path: Any, database_url: str) -> Any:
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as redis:
        environment = {"REDIS_URL": redis.url} | ({"DATABASE_URL": database_url} if database_url else {})
        with watching(tmp_path, environment) as watch:
            yield watch


def shell(watch: Watch, code: str) -> str:
    done = watch.manage("shell", "-v", "0", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def mended(watch: Watch, what: Callable[[], Any], since: float) -> float:
    watch.until(what, seconds=LIMIT + 10, every=0.2)
    return time.time() - since


def starts(watch: Watch, name: str) -> list[float]:
    keys = {str(run["job_run_id"]) for run in runs(watch, name)}
    return [float(line[0]) for line in trace(watch) if line[1] == "start" and line[2] in keys]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_each_fault_is_mended_within_half_a_minute(watch: Watch) -> None:
    import redis

    watch.beat("one")
    watch.until(lambda: "leads now" in watch.log("one"))
    watch.beat("two")
    watch.worker("first")
    create(watch, "long", "@manually", seconds=300)
    create(watch, "unsent", "@manually")
    watch.manage("job", "run", "long")
    watch.until(lambda: len(trace(watch)) == 1)
    watch.worker("second")
    watch.until(lambda: "second@" in watch.log("second") and "ready" in watch.log("second"))

    # A worker is killed and a message is lost: two faults that have nothing to do with each other.
    watch.kill("first")
    killed = time.time()
    shell(watch, LOSE)
    lost = time.time()
    watch.until(lambda: len([line for line in trace(watch) if line[1] == "start"]) == 3, seconds=2 * LIMIT)
    again = starts(watch, "long")[1] - killed
    published = starts(watch, "unsent")[0] - lost
    assert again < LIMIT, f"the run of a killed worker was at work again after {again:.1f} s"
    assert published < LIMIT, f"the run whose message was lost was at work after {published:.1f} s"

    # Redis is emptied while a run holds its slot and another waits for it.
    held = slots_of(watch)
    broker = redis.Redis.from_url(watch.environment["REDIS_URL"])
    broker.flushall()
    emptied = mended(watch, lambda: slots_of(watch) == held, time.time())
    assert emptied < LIMIT

    # The leading beat is killed, and another one stands by.
    create(watch, "steady", "* * * * * *")
    watch.until(lambda: runs(watch, "steady"))
    leader = int(shell(watch, HOLDER))
    name = next(name for name in ("one", "two") if watch.processes[name].pid == leader)
    watch.kill(name, signal.SIGKILL)
    gone = time.time()
    number = len(watch.ask("job", "runs", "steady", "-n", "1000"))
    took = mended(watch, lambda: len(watch.ask("job", "runs", "steady", "-n", "1000")) > number + 1, gone)
    assert took < LIMIT, f"the stand-by planned after {took:.1f} s"
    told = shell(watch, "from schedules.models import *; print([event.kind for event in EngineEvent.objects.all()])")
    assert told.count("leader") == 2
    assert "slots_rebuilt" in told


def slots_of(watch: Watch) -> str:
    return shell(watch, "from schedules.engine import slots; print(sorted(map(str, slots.held().items())))")
