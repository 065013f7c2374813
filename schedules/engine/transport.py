"""kombu's Redis transport, mended in three places.

When the broker goes away while a task is at work, kombu closes the channel and wants to put unacknowledged messages
back, through a connection that is gone: ``_connparams`` then meets None, the AttributeError counts as
unrecoverable, and the worker stops taking work until its present run ends (seen with kombu 5.7). As a connection
error it is what it is: the worker reconnects, and the sweep of the beat publishes again what was lost.

An item of a queue that is no message (not JSON, without properties, not base64) raises out of the worker's loop, and
ends the worker: "Unrecoverable error". Here it is dropped with one line.

A Redis that has no memory left, or became a replica, refuses the acknowledgement. That ended the worker; as a
connection error kombu logs it and goes on, but counts the message as one that is still worked on: with as many of
them as there are slots the worker took nothing any more (found by ``make chaos``). Here the place is given back; what
could not be acknowledged comes again, with a void token.
"""

from __future__ import annotations

import logging
from queue import Empty
from typing import Any

from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import QoS as RedisQoS
from kombu.transport.redis import Transport as RedisTransport
from kombu.transport.virtual import Message as VirtualMessage
from kombu.transport.virtual import QoS as VirtualQoS
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

logger = logging.getLogger(__name__)

# Ours have some hundred bytes; a housekeeping task's arguments are typed by a person.
LONGEST_BODY = 1_000_000
# How much of what was wrong is quoted.
LONGEST_REASON = 200
# Redis answers, and takes nothing.
REFUSALS = (OutOfMemoryError, ReadOnlyError)


class Unreadable(ValueError):
    """What was on the queue is no message."""


class Message(VirtualMessage):
    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)  # type: ignore[no-untyped-call]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from error
        # By it kombu keeps account of what was delivered; without one it ends the worker.
        if not isinstance(self.delivery_tag, str):
            raise Unreadable("it has no delivery tag")
        if len(self.body or "") > LONGEST_BODY:
            raise Unreadable(f"its body has {len(self.body)} bytes")


class QoS(RedisQoS):
    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            VirtualQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            logger.warning("a message could not be acknowledged, it comes again and is dropped: %s", told(error))


class Channel(RedisChannel):
    Message = Message
    QoS = QoS

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to the broker is closed")
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        return params

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            # It was taken off the queue and noted nowhere yet; what handles messages raises none of these.
            logger.error("what is no message was dropped: %s", told(error))  # noqa: TRY400 - one line, by contract
            raise Empty from None


class Transport(RedisTransport):
    Channel = Channel
    connection_errors = (*RedisTransport.connection_errors, *REFUSALS)


def told(error: BaseException) -> str:
    """The error on one short line: it may quote what somebody put on the queue."""
    text = str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:LONGEST_REASON]
