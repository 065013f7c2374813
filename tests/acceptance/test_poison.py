"""Poisoned messages: each is dropped with one line and acknowledged, and the worker works on."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.acceptance.test_kill import create, runs
from tests.processes import Watch, watching

TOKEN = "0" * 32
QUEUE = "scans"


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as server, watching(tmp_path, {"REDIS_URL": server.url}) as watch:
        yield watch


def message(number: int, body: Any = None, *, raw: str = "", **headers: Any) -> bytes:
    """A message as Celery writes it, unless told otherwise."""
    encoded = base64.b64encode(json.dumps(body).encode()).decode()
    parts = {
        "body": raw or encoded,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "test.trace", "id": f"poison-{number}", "argsrepr": "", "kwargsrepr": ""}
        | {"timelimit": [None, None], "retries": 0, "eta": None, "expires": None}
        | headers,
        "properties": {
            "correlation_id": f"poison-{number}",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": f"tag-{number}",
        },
    }
    return json.dumps(parts).encode()


def call(**kwargs: Any) -> list[Any]:
    return [[], {"run": 1, "attempt": 1, "token": TOKEN, "schedule": "x"} | kwargs, {}]


def poison() -> list[bytes]:
    """One of each kind, and what a worker that trips over it would do is in the log."""
    odd: list[bytes] = [
        b"garbage", b"", b"\xff\xfe\x00", b"[]", b"5", b"null", b'"text"', b"{}", b"[" * 100_000,
        json.dumps({"properties": []}).encode(), json.dumps({"properties": {}, "body": "x"}).encode(),
        b'{"__type__": "uuid", "__value__": 7}', b'{"__type__": "nonsense"}',
        message(1, raw="*not base64*"), message(2, raw=base64.b64encode(b"not JSON").decode()),
        message(3, raw=base64.b64encode(b"\xff\xff").decode()),
        message(4, "text"), message(5, [1, 2]), message(6, {"args": 1}), message(7, [[], "kwargs", {}]),
        message(8, call(), task="no.such.task"), message(9, call(), task=["a list"]), message(10, call(), task=None),
        message(11, call(), id=None), message(12, call(), timelimit="x"), message(13, call(), eta="yesterday-ish"),
        message(14, call(), expires={}), message(15, call(token="y" * 2_000_000)),
        message(16, call(), timelimit=["a", {}]), message(17, call(), timelimit=5),
        message(18, call(), timelimit=[1, 1]), message(19, call(), eta="2099-01-01T00:00:00Z"),
        message(20, call()).replace(b'"tag-20"', b"null"),
    ]  # fmt: skip
    ours = [
        call(), call(run="1"), call(run="1; DROP TABLE"), call(run=-1), call(run=2**70), call(run=None),
        call(run=True), call(run=1.5), call(run=[1]), call(attempt="1"), call(attempt=2**40), call(token=None),
        call(token="\x00" * 32), call(token="x" * 10_000), call(more=1), [["run"], {}, {}], [[], {"run": 1}, {}],
    ]  # fmt: skip
    return odd + [message(100 + number, body) for number, body in enumerate(ours)]


LINE = re.compile(r"^\S+ \S+ (?:INFO|WARNING|ERROR) schedules\.\S+ .*dropped", re.MULTILINE)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_each_poisoned_message_is_dropped_with_one_line(watch: Watch, pool: str) -> None:
    broker = redis.Redis.from_url(watch.environment["REDIS_URL"])
    for each in poison():
        broker.lpush(QUEUE, each)
    watch.worker(pool=pool)
    watch.until(lambda: not broker.exists(QUEUE) and len(LINE.findall(watch.log("worker"))) >= len(poison()))
    create(watch, "sound", "@manually")
    watch.manage("job", "run", "sound")
    watch.until(lambda: runs(watch, "sound")[0]["status"] == "success", every=0.5)
    log = watch.log("worker")
    assert len(LINE.findall(log)) == len(poison()), log
    assert "Traceback" not in log
    assert "Unrecoverable" not in log
    assert watch.processes["worker"].poll() is None
    assert max(map(len, log.splitlines())) < 1000, "nothing of what was sent is poured into the log"
    watch.until(lambda: not broker.exists("unacked"))
