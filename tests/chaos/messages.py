"""What goes wrong with messages: delivered again, long after, in thousands, or no message at all."""

from __future__ import annotations

import json
import random
from collections import deque
from typing import Any

import redis
from redis.exceptions import RedisError

from tests.processes import QUEUES

_KEPT = 500
_NAMES = QUEUES.split(",")


class Postman:
    """Keeps copies of what went through the broker, and brings it again."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._seen: deque[tuple[str, bytes]] = deque(maxlen=_KEPT)
        self._known: deque[str] = deque(maxlen=_KEPT)

    def look(self, client: redis.Redis) -> None:
        """Copy what is unacknowledged or waits now. Silent where Redis is away."""
        try:
            unacknowledged: Any = client.hvals("unacked")
            for text in unacknowledged:
                message, _exchange, queue = json.loads(text)
                self._keep(queue, json.dumps(message).encode())
            for name in _NAMES:
                waiting: Any = client.lrange(name, 0, 50)
                for message in waiting:
                    self._keep(name, message)
        except (RedisError, ValueError):
            return

    def _keep(self, queue: str, message: bytes) -> None:
        try:
            tag = json.loads(message)["properties"]["delivery_tag"]
        except (ValueError, KeyError, TypeError):
            return
        if queue in _NAMES and tag not in self._known:
            self._known.append(tag)
            self._seen.append((queue, message))

    def redeliver(self, client: redis.Redis, count: int) -> int:
        """Some of the last ones, and some old ones. Returns how many."""
        fresh = list(self._seen)[-count:]
        old = self._dice.sample(list(self._seen), min(count, len(self._seen)))
        for queue, message in (*fresh, *old):
            client.lpush(queue, message)
        return len(fresh) + len(old)

    def poison(self, client: redis.Redis, count: int) -> None:
        """So many messages that look right and mean nothing, and one of each kind that does not even look right."""
        from schedules.engine.messages import ready_message

        for number in range(count):
            key = f"s0-{number}"
            kwargs = {"run": 10**9 + number, "attempt": 1, "token": "0" * 32, "schedule": "nobody"}
            client.lpush("scans", ready_message(task="chaos.work", task_id=key, kwargs=kwargs, queue="scans"))
        for message in self._odd(ready_message):
            client.lpush(self._dice.choice(_NAMES), message)

    def _odd(self, ready: Any) -> list[bytes]:
        known = {"run": 1, "attempt": 99, "token": "x", "schedule": "a-second"}
        shapes = [
            {"task": "chaos.work", "kwargs": known},
            {"task": "chaos.work", "kwargs": {**known, "token": ""}},
            {"task": "chaos.work", "kwargs": {"run": "no number", "attempt": None, "token": {}}},
            {"task": "chaos.work", "kwargs": {}},
            {"task": "nobody.knows", "kwargs": known},
        ]
        odd = [ready(task_id=f"odd-{place}", queue="scans", **shape) for place, shape in enumerate(shapes)]
        return [*odd, b"\x00\xff not a message", b"{}", b"[]", b'{"body": "?", "headers": 3, "properties": {}}']
