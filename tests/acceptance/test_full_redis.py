"""A Redis without memory ends no worker."""

from __future__ import annotations

import time
from pathlib import Path

import redis

from tests.acceptance.test_kill import create, runs, trace
from tests.processes import watching


def test_a_redis_without_memory_ends_no_worker(tmp_path: Path) -> None:
    """Runs end in every slot, and can't be acknowledged, while Redis takes nothing: the worker works on afterwards."""
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as server, watching(tmp_path, {"REDIS_URL": server.url}) as watch:
        client = redis.Redis.from_url(server.url)
        for name in ("one", "two"):
            create(watch, name, "@manually", seconds=4)
        create(watch, "job", "@manually")
        watch.worker()
        watch.until(lambda: " ready." in watch.log("worker"))
        for name in ("one", "two"):
            watch.manage("job", "run", name)
        watch.until(lambda: len(trace(watch)) == 2, every=0.05)
        client.config_set("maxmemory", "1mb")
        time.sleep(6)
        client.config_set("maxmemory", "0")
        watch.manage("job", "run", "job")
        watch.until(lambda: runs(watch, "job")[0]["status"] == "success", every=1, seconds=25)
        assert watch.processes["worker"].poll() is None
        assert "Unrecoverable" not in watch.log("worker")
