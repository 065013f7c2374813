"""kombu's Redis transport, mended in one place.

When the broker goes away while a task is at work, kombu closes the channel and wants to put unacknowledged messages
back, through a connection that is gone: ``_connparams`` then meets None, the AttributeError counts as
unrecoverable, and the worker stops taking work until its present run ends (seen with kombu 5.7). As a connection
error it is what it is: the worker reconnects, and the sweep of the beat publishes again what was lost.
"""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import Transport as RedisTransport
from redis.exceptions import ConnectionError as RedisConnectionError


class Channel(RedisChannel):
    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to the broker is closed")
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        return params


class Transport(RedisTransport):
    Channel = Channel
