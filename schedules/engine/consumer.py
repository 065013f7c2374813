"""The worker's consumer: a message that can't be worked off is dropped with one line, and acknowledged.

Celery's own logs each with its body and a traceback, stores a result for it, and ends the worker over a message whose
headers it does not expect ("Unrecoverable error"), which is then delivered again, to the next worker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.events import EventDispatcher
from celery.worker.consumer import Consumer as CeleryConsumer

from schedules.engine import chain
from schedules.engine.transport import told

logger = logging.getLogger(__name__)

_ARGUMENTS = 3


class Consumer(CeleryConsumer):  # type: ignore[misc]
    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **kwargs)

        def handle_or_drop(message: Any) -> None:
            chain.watched(by_somebody=tells_of_tasks(self.event_dispatcher))
            try:
                if problem := problem_of(message):
                    self._drop(message, problem)
                else:
                    handle(message)
            except self.connection_errors:
                raise
            except Exception as error:  # noqa: BLE001 - whatever the message holds, the worker goes on
                self._drop(message, told(error))

        return handle_or_drop

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        self._drop(message, "it is no task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        self._drop(message, "no such task is installed here")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        self._drop(message, told(exc))

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._drop(message, told(exc))

    def _drop(self, message: Any, reason: str) -> None:
        headers = message.headers if isinstance(message.headers, dict) else {}
        name = f"{headers.get('task')!r:.80} {headers.get('id')!r:.80}"
        logger.error("message %s was dropped: %s", name, reason)
        message.reject_log_error(logger, self.connection_errors)


def tells_of_tasks(events: EventDispatcher | None) -> bool:
    """Whether a worker sends an event for each task's start and end: Flower asks it to."""
    return events is not None and events.enabled and (not events.groups or "task" in events.groups)


def problem_of(message: Any) -> str:
    """What Celery would trip over in the form of a message; empty for a sound one."""
    headers = message.headers
    if not isinstance(headers, dict) or not all(isinstance(headers.get(name), str) for name in ("task", "id")):
        return "it is no task"
    # Nothing of ours brings them: waits and deadlines are in the database. A limit that is no number ends the worker.
    if headers.get("eta") is not None or any(limit is not None for limit in headers.get("timelimit") or ()):
        return "it brings a time or a time limit of its own"
    payload = message.payload
    sound = isinstance(payload, list | tuple) and len(payload) == _ARGUMENTS
    if not sound or not isinstance(payload[0], list | tuple) or not isinstance(payload[1], dict):
        return "its body holds no arguments"
    return ""
