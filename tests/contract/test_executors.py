"""What every executor keeps to, whoever wrote it. A new executor is held to this by being found."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from schedules.executors.base import Executor, Payload
from schedules.executors.registry import QUEUES, DuplicateExecutor, executor_of, executors


def every() -> list[Any]:
    return [pytest.param(executor, id=key) for key, executor in executors().items()]


def test_the_executors_of_this_issue_are_found() -> None:
    assert {"container.command", "workspace.backup"} <= executors().keys()


@pytest.mark.parametrize("executor", every())
def test_it_names_itself(executor: Executor[Any]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", executor.key)
    assert executor.title.strip()
    assert executor.queue in QUEUES
    assert executor.on_lost in {"retry", "fail"}
    assert executor.hold in {"shared", "exclusive", "recovery"}
    assert executor.hold == "shared" or executor.needs_agent, "there is nothing to hold without an agent"
    assert 0 <= executor.default_retries <= 100
    assert (executor.__doc__ or "").strip()


@pytest.mark.parametrize("executor", every())
def test_its_payload_refuses_what_it_does_not_know(executor: Executor[Any]) -> None:
    assert issubclass(executor.payload_model, Payload)
    with pytest.raises(ValidationError) as refusal:
        executor.payload_model.model_validate({"no_such_field_anywhere": 1})
    assert "no_such_field_anywhere" in str(refusal.value)


@pytest.mark.parametrize("executor", every())
def test_its_payload_survives_storage(executor: Executor[Any]) -> None:
    assert executor.payload_model.model_json_schema()["type"] == "object"
    assert executor.payload_model.model_config["frozen"]


@pytest.mark.parametrize("executor", every())
def test_it_is_a_task_that_flower_can_show(executor: Executor[Any]) -> None:
    import schedules.tasks
    from config.celery import app

    assert schedules.tasks
    task = app.tasks[executor.key]
    assert task.ignore_result
    assert task.acks_late


def test_an_unknown_key_is_refused_with_a_near_one() -> None:
    from fleet.errors import InvalidInput

    with pytest.raises(InvalidInput, match=r"Did you mean 'container\.command'"):
        executor_of("container.comand")


def test_two_of_one_key_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from schedules.executors import registry
    from tests.witness.executors.traces import Trace

    monkeypatch.setattr(registry, "discover", lambda *_: iter([Trace, Trace]))
    registry.executors.cache_clear()
    try:
        with pytest.raises(DuplicateExecutor, match=r"test\.trace"):
            registry.executors()
    finally:
        registry.executors.cache_clear()
