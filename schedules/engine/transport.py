"""kombu's Redis transport, mended in one place (seen with kombu 5.7).

**A broker that goes away.** While a task is at work, kombu closes the channel and wants to put unacknowledged messages
back, through a connection that is gone: ``_connparams`` then meets None, the AttributeError counts as
unrecoverable, and the worker stops taking work until its present run ends. As a connection error it is what it
is: the worker reconnects, and the sweep of the beat publishes again what was lost.

**A broker that takes nothing.** Out of memory, or turned into a replica, Redis refuses the acknowledgement, and the
worker would end. It waits and connects anew instead; what it could not acknowledge comes again, with a void token.

**Garbage on a queue.** Whatever is no message of Celery's raises in the worker's loop and ends it, and the next worker
that takes such a message. It is dropped with one line in the log.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import Transport as RedisTransport
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError

logger = logging.getLogger(__name__)


class Channel(RedisChannel):
    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to the broker is closed")
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        return params

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except ValueError as error:
            # What comes through as JSON is judged by the transport below.
            logger.warning("what lay on a queue is no JSON, dropped: %s", error)
            return True


class Transport(RedisTransport):
    Channel = Channel
    connection_errors = (*RedisTransport.connection_errors, OutOfMemoryError, ReadOnlyError)

    def _deliver(self, message: Any, queue: str) -> None:
        if _is_message(message):
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]
        else:
            logger.warning("what lay on %s is no message of Celery's, dropped: %.200r", queue, message)


def _is_message(message: Any) -> bool:
    """Whether kombu can take it apart."""
    try:
        properties = message["properties"]
        address = properties["delivery_info"]["routing_key"]
        if properties.get("body_encoding") == "base64":
            base64.b64decode(message["body"])
        return isinstance(properties["delivery_tag"], str) and isinstance(message["headers"], dict) and bool(address)
    except (TypeError, KeyError, ValueError, AttributeError):
        return False
