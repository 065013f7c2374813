"""A Celery message as its Redis transport stores it, without the 350 µs that ``apply_async`` takes to write one.

Held equal to what ``apply_async`` sends by ``tests/contract/test_messages.py``: a stock worker takes both.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from celery import current_app

# What Celery puts behind a task's arguments: it starts nothing else.
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
# Stands in the written template where the parts of each message go; JSON text can't hold it by itself.
_GAP = "\x00"


def ready_message(*, task: str, task_id: str, kwargs: dict[str, object], queue: str) -> bytes:
    """The bytes of one message, to be pushed onto the list of its queue."""
    body = base64.b64encode(json.dumps([[], kwargs, _EMBED]).encode()).decode()
    quoted_id, quoted_repr = json.dumps(task_id), json.dumps(repr(kwargs))
    first, second, third, fourth, fifth, sixth, last = _template(task, queue)
    return (
        f'{first}"{body}"{second}{quoted_id}{third}{quoted_id}{fourth}{quoted_repr}{fifth}{quoted_id}{sixth}'
        f'"{uuid.uuid4()}"{last}'
    ).encode()


@cache
def _template(task: str, queue: str) -> list[str]:
    """The text between the parts that differ. What every message of a task shares comes from Celery itself."""
    made = current_app.amqp.create_task_message("", task, args=(), kwargs={}, ignore_result=True)
    message = {
        "body": _GAP,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**made.headers, "id": _GAP, "root_id": _GAP, "argsrepr": "()", "kwargsrepr": _GAP},
        "properties": {
            "correlation_id": _GAP,
            "reply_to": str(current_app.thread_oid),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": _GAP,
        },
    }
    return json.dumps(message).split(json.dumps(_GAP))


def arguments_of(message: bytes) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments that a message carries; none when it is not of the form that :func:`ready_message` writes."""
    try:
        args, kwargs, _embed = json.loads(base64.b64decode(json.loads(message)["body"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        return (), {}
    return (args, kwargs) if isinstance(args, list) and isinstance(kwargs, dict) else ((), {})
