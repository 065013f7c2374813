"""The engine's connection to Redis: one client a process, and short timeouts, so that a tick never hangs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

TIMEOUT_SECONDS = 0.8


def client() -> Redis:
    """This process's client; a fork gets its own, since a shared socket mixes answers."""
    return _client(os.getpid(), settings.WATCHBILL.redis_url)


@cache
def _client(_pid: int, url: str) -> Redis:
    options = {"socket_timeout": TIMEOUT_SECONDS, "retry": Retry(NoBackoff(), 0)}
    if not url.startswith("unix:"):
        options["socket_connect_timeout"] = TIMEOUT_SECONDS
    return Redis.from_url(url, **options)


def call(*command: str | int) -> Any:
    """One command in one round trip, without what a ``Redis`` object does around it (a third of the time)."""
    pool = client().connection_pool
    connection = pool.get_connection()
    try:
        connection.send_command(*command)  # type: ignore[no-untyped-call]
        return connection.read_response()
    finally:
        pool.release(connection)


class Script:
    """A script for Redis, and the hash by which it is known there once it was sent."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], values: Sequence[str]) -> Any:
        try:
            return call("EVALSHA", self.sha, len(keys), *keys, *values)
        except NoScriptError:
            return call("EVAL", self.text, len(keys), *keys, *values)
