"""Several at work on the same schedules at once: nobody waits crosswise, and no circle is closed by two edits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from fleet.errors import Conflict, InvalidInput
from schedules.engine import planning
from schedules.engine.planning import plan_due
from schedules.models import Run, Schedule
from schedules.services import backfills, schedules
from tests.schedules.engine.conftest import ACTOR, at
from tests.schedules.engine.time_travel import Clock

Make = Callable[..., Schedule]
pytestmark = pytest.mark.skipif(not connection.features.has_select_for_update, reason="SQLite: one writer at a time")
START = at("2026-03-28 00:00:00")


def at_once(*works: Callable[[], object]) -> list[Exception]:
    """Do all of these, each on a connection of its own; what they raised."""
    raised: list[Exception] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the test judges it
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def slowed(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, seconds: float) -> None:
    """After this function the others get their turn."""
    real = getattr(module, name)

    def slow(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        time.sleep(seconds)
        return answer

    monkeypatch.setattr(module, name, slow)


def test_two_edits_at_once_close_no_circle(make_schedule: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make_schedule("one"), make_schedule("two")
    slowed(monkeypatch, schedules, "check_schedule", 0.3)
    raised = at_once(
        lambda: schedules.schedule_update(schedule=one, actor=ACTOR, run_after=two),
        lambda: schedules.schedule_update(schedule=two, actor=ACTOR, run_after=one),
    )
    assert [type(error) for error in raised] == [InvalidInput]
    assert Schedule.objects.filter(run_after__isnull=False).count() == 1


def test_two_backfills_at_once_take_no_fire_twice(
    make_schedule: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.is_at(START)
    schedule = make_schedule("hourly", "0 * * * *")
    slowed(monkeypatch, backfills, "backfill_plan", 0.3)

    def ask() -> None:
        backfills.backfill_start(schedule=schedule, begin=START - timedelta(hours=4), end=START, actor=ACTOR)

    assert [type(error) for error in at_once(ask, ask)] == [Conflict]
    assert Run.objects.count() == 5


def test_two_beats_that_meet_do_not_wait_crosswise(make_schedule: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        make_schedule(f"job-{number}", "0 * * * *", next_run_at=START + timedelta(hours=number))
    now = START + timedelta(hours=4)
    slowed(monkeypatch, planning, "_advance", 0.1)
    assert not at_once(lambda: plan_due(now), lambda: plan_due(now, latest_first=True))
    assert Run.objects.count() == 4


def test_a_long_edit_keeps_nobody_else_waiting(make_schedule: Make) -> None:
    held, free = (make_schedule(name, "0 * * * *", next_run_at=START) for name in ("held", "free"))
    entered, done = threading.Event(), threading.Event()

    def edit() -> None:
        with transaction.atomic():
            Schedule.objects.select_for_update(no_key=True).get(pk=held.pk)
            entered.set()
            done.wait(20)

    def plan() -> None:
        entered.wait(20)
        begun = time.monotonic()
        plan_due(START)
        took.append(time.monotonic() - begun)
        done.set()

    took: list[float] = []
    assert not at_once(edit, plan)
    assert took[0] < 10
    assert [run.schedule for run in Run.objects.all()] == [free]
    plan_due(START)
    assert Run.objects.count() == 2
