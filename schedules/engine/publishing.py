"""The one place that writes messages. A message says which run, which attempt, under which admission token.

Publishing comes after the commit that admitted the run. It fails fast: what a dead broker lost, the sweep
publishes again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import redis.exceptions

from schedules.engine.connection import client
from schedules.engine.messages import ready_message
from schedules.models import Run

logger = logging.getLogger(__name__)

BROKER_ERRORS = (redis.exceptions.RedisError, ConnectionError, TimeoutError, OSError)
# kombu's queue names for its priority steps; ours are all published at priority 0, the plain name.
PRIORITY_STEPS = ("", "\x06\x163", "\x06\x166", "\x06\x169")


class BrokerUnreachable(Exception):
    """The broker took no message. The runs stay admitted; the sweep publishes them when it is back."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What travels: ``schedule`` is for the reader of Flower; the engine reads run, attempt and token."""

    run: int
    attempt: int
    token: str
    schedule: str
    job_run_id: str
    executor: str
    queue: str


class Admitted(Protocol):
    """What a message is made of: a row, or a candidate of admission."""

    @property
    def pk(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def schedule_name(self) -> str: ...
    @property
    def job_run_id(self) -> str: ...
    @property
    def executor(self) -> str: ...
    @property
    def queue(self) -> str: ...


def message_of(run: Admitted, token: str) -> Message:
    """The message of a run that was admitted with this token."""
    return Message(
        run=run.pk,
        attempt=run.attempt,
        token=token,
        schedule=run.schedule_name,
        job_run_id=run.job_run_id,
        executor=run.executor,
        queue=run.queue,
    )


def publish(runs: Iterable[Run]) -> None:
    """Put one message a run on its queue. Raises :class:`BrokerUnreachable`."""
    send([message_of(run, run.admission_token) for run in runs])


def send(messages: Iterable[Message]) -> None:
    """Put them on their queues in one round trip. Raises :class:`BrokerUnreachable`."""
    lists: dict[str, list[bytes]] = {}
    for message in messages:
        lists.setdefault(message.queue, []).append(_ready(message))
    pipeline = client().pipeline(transaction=False)
    for queue, ready in lists.items():
        pipeline.lpush(queue, *ready)
    try:
        pipeline.execute()
    except BROKER_ERRORS as error:
        raise BrokerUnreachable(f"The broker can't be reached: {error}") from error


def _ready(message: Message) -> bytes:
    kwargs = {"run": message.run, "attempt": message.attempt, "token": message.token, "schedule": message.schedule}
    # The same id for each attempt, however often it is published (``Run.task_id``).
    task_id = f"{message.job_run_id}.{message.attempt}"
    return ready_message(task=message.executor, task_id=task_id, kwargs=kwargs, queue=message.queue)


def waiting_task_ids(queues: Iterable[str]) -> set[str]:
    """The task ids of the messages that wait on the broker. Bounded: admission lets few be out at a time.

    A message that a worker has prefetched is not among them: publishing it again is harmless, its token decides.
    """
    pipeline = client().pipeline(transaction=False)
    for name in queues:
        for step in PRIORITY_STEPS:
            pipeline.lrange(f"{name}{step}", 0, -1)
    return {_task_id(message) for messages in pipeline.execute() for message in messages}


def _task_id(message: bytes) -> str:
    """Empty for what is no message of Celery's: somebody else's, or garbage."""
    try:
        return str(json.loads(message)["headers"]["id"])
    except (ValueError, KeyError, TypeError):
        return ""


def queue_lengths(queues: Iterable[str]) -> dict[str, int]:
    """How many messages wait in each queue on the broker, over all priorities."""
    names = list(queues)
    pipeline = client().pipeline(transaction=False)
    for name in names:
        for step in PRIORITY_STEPS:
            pipeline.llen(f"{name}{step}")
    answers = iter(pipeline.execute())
    return {name: sum(next(answers) for _ in PRIORITY_STEPS) for name in names}
