"""A run that was asked for is committed before it is admitted: whatever fails then, nobody is told it was refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import InterfaceError, OperationalError

from fleet.actors import Actor
from schedules.engine import admission
from schedules.models import Run, Schedule
from schedules.querysets import RunQuerySet
from schedules.services.runs import BEAT_STARTS_IT, run_now

ACTOR = Actor.system("test")


@pytest.fixture
def schedule(organisation: object, make_schedule: Callable[..., Schedule]) -> Schedule:
    return make_schedule("job")


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_goes_after_the_commit_refuses_nothing(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def gone(*_: object) -> bool:
        raise error("the server closed the connection")

    monkeypatch.setattr(admission, "admit_run", gone)
    asked = run_now(schedule=schedule, actor=ACTOR)
    assert asked.note == BEAT_STARTS_IT
    assert Run.objects.get().job_run_id == asked.run.job_run_id


def test_nor_does_one_that_goes_before_the_answer(schedule: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> RunQuerySet:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(admission, "admit_run", lambda _: True)
    monkeypatch.setattr(RunQuerySet, "with_limits", gone)
    assert run_now(schedule=schedule, actor=ACTOR).note == BEAT_STARTS_IT
