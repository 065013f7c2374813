"""A message that we write equals what ``apply_async`` would have sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from celery import current_app

from schedules.engine.connection import client
from schedules.engine.messages import ready_message

KWARGS: dict[str, object] = {"run": 7, "attempt": 2, "token": "0f" * 16, "schedule": "nightly-backup_2"}


def sent(queue: str) -> dict[str, Any]:
    (message,) = client().lrange(queue, 0, -1)
    read: dict[str, Any] = json.loads(message)
    read["body"] = base64.b64decode(read["body"])
    return read


@pytest.mark.parametrize("task", ["test.trace", "container.command", "workspace.backup"])
def test_a_message_is_the_one_that_celery_sends(redis: object, task: str) -> None:
    import config.celery

    assert config.celery
    current_app.send_task(
        task, kwargs=KWARGS, task_id="s7-20260101T000000Z.2", queue="theirs", retry=False, ignore_result=True
    )
    client().lpush("ours", ready_message(task=task, task_id="s7-20260101T000000Z.2", kwargs=KWARGS, queue="ours"))
    theirs, ours = sent("theirs"), sent("ours")
    assert ours["properties"]["delivery_info"].pop("routing_key") == "ours"
    assert theirs["properties"]["delivery_info"].pop("routing_key") == "theirs"
    assert len({each["properties"].pop("delivery_tag") for each in (ours, theirs)}) == 2, "each is its own"
    assert ours == theirs
