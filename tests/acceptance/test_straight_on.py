"""A real worker goes from one run straight to the next; one that sends its tasks' events takes each from Celery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_kill import create, runs
from tests.processes import QUEUES, Watch, watching

RUNS = 5


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as server, watching(tmp_path, {"REDIS_URL": server.url}) as watch:
        yield watch


@pytest.mark.parametrize("events", [False, True])
def test_each_run_is_a_task_where_somebody_asks_for_their_events(watch: Watch, *, events: bool) -> None:
    create(watch, "short", "@manually")
    for _ in range(RUNS):
        watch.manage("job", "run", "short")
    start = ["-m", "celery", "-A", "config", "worker", "-c", "1", "-Q", QUEUES, "--loglevel", "INFO"]
    watch.start("worker", *start, "--without-gossip", "--without-mingle", *(["-E"] if events else []))
    # No beat: what an end lets in is what makes the next one start.
    watch.until(lambda: [run["status"] for run in runs(watch, "short")] == ["success"] * RUNS, every=0.5)
    received = watch.log("worker").count(" received")
    assert received == RUNS if events else received < RUNS
