"""What lies on the broker and is no message of ours ends no worker, and costs one line of its log."""

from __future__ import annotations

import time
from pathlib import Path

import redis

from tests.processes import Watch, watching

GARBAGE = [
    b"\x00\xff not a message",
    b"{}",
    b"[]",
    b'{"body": "?", "headers": 3, "properties": {}}',
    b'{"body": "?", "headers": {}, "properties": {"body_encoding": "base64", "delivery_tag": "x"}}',
    b'{"body": "A", "headers": {}, "properties": {"body_encoding": "base64", "delivery_info": {"routing_key": ""}}}',
]


def poisoned() -> list[bytes]:
    """Messages of Celery's with arguments that are none of ours."""
    from schedules.engine.messages import ready_message

    known = {"run": 1, "attempt": 1, "token": "x", "schedule": ""}
    kwargs: list[dict[str, object]] = [
        {},
        {**known, "run": "no number"},
        {**known, "token": {}},
        {**known, "attempt": None},
    ]
    return [ready_message(task="test.trace", task_id=f"odd-{i}", kwargs=k, queue="scans") for i, k in enumerate(kwargs)]


def test_garbage_and_a_full_redis_end_no_worker(tmp_path: Path) -> None:
    from tests.acceptance.test_kill import create, runs
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as server, watching(tmp_path, {"REDIS_URL": server.url}) as watch:
        client = redis.Redis.from_url(server.url)
        create(watch, "job", "@manually")
        watch.worker()
        watch.until(lambda: " ready." in watch.log("worker"))
        odd = [*GARBAGE, *poisoned()]
        client.lpush("scans", *odd)
        watch.until(lambda: not client.exists("scans"))
        assert watch.log("worker").count("dropped: ") == len(odd)
        assert "Traceback" not in watch.log("worker")
        _fill(watch, client)
        watch.manage("job", "run", "job")
        watch.until(lambda: runs(watch, "job")[0]["status"] == "success", every=1)
        assert watch.processes["worker"].poll() is None
        assert "Unrecoverable" not in watch.log("worker")


def _fill(watch: Watch, client: redis.Redis) -> None:
    """A run ends while Redis has no memory left."""
    from tests.acceptance.test_kill import create, trace

    create(watch, "long", "@manually", seconds=1)
    watch.manage("job", "run", "long")
    watch.until(lambda: [line for line in trace(watch) if line[1] == "start"], every=0.05)
    client.config_set("maxmemory", "1mb")
    time.sleep(3)
    client.config_set("maxmemory", "0")
