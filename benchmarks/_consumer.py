"""Stands in for the workers of a fleet, which two cores can't hold: it takes messages and ends their runs in bulk."""

from __future__ import annotations

import base64
import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from _world import end

QUEUE = "scans"
_AT_ONCE = 1000


def taken() -> list[int]:
    """The runs whose messages are on the broker, which are taken from it."""
    from schedules.engine.connection import client

    messages: Any = client().rpop(QUEUE, _AT_ONCE)
    return [_run_of(message) for message in messages or ()]


def _run_of(message: bytes) -> int:
    _, kwargs, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
    return int(kwargs["run"])


def finish(keys: list[int]) -> None:
    """End these runs and free their slots, as their workers would."""
    from schedules.engine import slots
    from schedules.models import Run

    runs = list(Run.objects.filter(pk__in=keys).with_limits())
    end(Run.objects.filter(pk__in=keys))
    slots.release(*(slots.holder_of(run) for run in runs))


@contextmanager
def consuming() -> Iterator[dict[int, float]]:
    """Takes whatever is published while the block runs. Gives when each run's message was seen, in seconds."""
    seen: dict[int, float] = {}
    done, ended = queue.Queue[list[int]](), threading.Event()
    threads = [threading.Thread(target=_take, args=(seen, done, ended)), threading.Thread(target=_finish, args=(done,))]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _take(seen: dict[int, float], done: queue.Queue[list[int]], ended: threading.Event) -> None:
    while not ended.is_set():
        if keys := taken():
            seen.update(dict.fromkeys(keys, time.time()))
            done.put(keys)
        else:
            time.sleep(0.002)
    done.put([])


def _finish(done: queue.Queue[list[int]]) -> None:
    from django.db import connection

    while keys := done.get():
        finish(keys)
    connection.close()
