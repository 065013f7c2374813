"""A worker that ends hands everything back: what waits at once, what runs when its time to finish is over."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_kill import create, runs, trace
from tests.processes import Watch, watching


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Nothing here may need the rescue."""
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with (
        running_redis(tmp_path / "redis") as redis,
        watching(tmp_path, {"REDIS_URL": redis.url, "DRAIN_SECONDS": "2", "UNCLAIMED_SECONDS": "100"}) as watch,
    ):
        yield watch


def events(watch: Watch, kind: str) -> list[list[str]]:
    code = f"print(json.dumps(list(RunEvent.objects.filter(kind={kind!r}).values_list('run__schedule_name', 'cause'))))"
    done = watch.manage("shell", "-v", "0", "-c", f"import json; from schedules.models import *; {code}")
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


RUN = """
from fleet.actors import Actor
from schedules.models import *
from schedules.services.runs import run_now
Schedule.objects.update(max_concurrent_runs=10)
for job in Schedule.objects.filter(name={name!r}):
    for _ in range({times}):
        run_now(schedule=job, actor=Actor.system("test"))
"""


def run(watch: Watch, name: str, times: int) -> None:
    done = watch.manage("shell", "-v", "0", "-c", RUN.format(name=name, times=times))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("pool", "how"), [("prefork", "SIGTERM"), ("threads", "drain")])
def test_another_worker_goes_on_at_once(watch: Watch, pool: str, how: str) -> None:
    """Two runs are at work, four wait on the broker, when the only worker is told to end."""
    watch.beat()
    watch.worker("one", pool=pool)
    create(watch, "long", "@manually", seconds=14)
    create(watch, "waiting", "@manually")
    run(watch, "long", 2)
    watch.until(lambda: len(trace(watch)) == 2)
    run(watch, "waiting", 4)
    if how == "SIGTERM":
        watch.kill("one", signal.SIGTERM)
    else:
        done = watch.manage("drain", "one", "--wait")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "(2 at work)" in done.stdout
        assert "They have ended." in done.stdout
        assert watch.processes["one"].wait(timeout=10) == 0
    watch.worker("two", pool=pool)
    watch.until(lambda: len([line for line in trace(watch) if line[1] == "end"]) == 6)
    watch.until(lambda: all(each["status"] == "success" for each in runs(watch, "long") + runs(watch, "waiting")))
    assert events(watch, "returned") == [["long", "its worker was drained"]] * 2
    assert events(watch, "published_again") == events(watch, "lost") == []
    assert [each["attempt"] for each in runs(watch, "long")] == [2, 2]
    assert [each["attempt"] for each in runs(watch, "waiting")] == [1] * 4
