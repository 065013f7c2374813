"""Schedules with a past, for housekeeping to remove."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from schedules.engine import lifecycle
from schedules.engine.clock import database_now
from schedules.models import Run, Schedule
from schedules.services.housekeeping import Budget, Terms
from tests.schedules.engine.conftest import at, clock, make_schedule, organisation  # noqa: F401 - fixtures

START, NOW = at("2026-01-01 00:30:00"), at("2026-06-01 00:00:00")


def terms(**values: Any) -> Terms:
    return Terms(**({"now": NOW, "days": 30, "keep": 3, "most": 1000, "batch": 10} | values))


def budget(minutes: float = 1) -> Budget:
    made = Budget(minutes=minutes)
    made.pause = lambda: None  # type: ignore[method-assign]
    return made


def end(runs: Any, *, status: str = "success", took: timedelta = timedelta(seconds=1)) -> None:
    """As if each had been done right after its fire."""
    for run in runs:
        done = (run.fire_at or run.created_at) + took
        Run.objects.filter(pk=run.pk).update(
            status=status,
            finished_at=done,
            created_at=run.fire_at or run.created_at,
            claim_token="",
            admission_token="",
        )


@pytest.fixture
def lived(make_schedule: Callable[..., Schedule], clock: Any) -> Callable[..., Schedule]:  # noqa: F811
    """``lived(hours)``: an hourly job whose fires were each planned, and run, at their time."""
    from schedules.engine.planning import plan_due

    def make(hours: int, name: str = "hourly", **values: Any) -> Schedule:
        first = START.replace(minute=0) + timedelta(hours=1)
        schedule = make_schedule(name, "0 * * * *", next_run_at=first, **values)
        for hour in range(hours):
            plan_due(first + timedelta(hours=hour, seconds=1))
            end(Run.objects.active().filter(schedule=schedule))
        schedule.refresh_from_db()
        return schedule

    return make


def manual(schedule: Schedule, moment: datetime, *, status: str = "success") -> Run:
    from schedules.engine.newruns import new_run

    run = new_run(schedule, moment)
    run.job_run_id, run.trigger = f"m-{moment:%Y%m%dT%H%M%S}", Run.Trigger.MANUAL
    lifecycle.runs_insert([run], cause="test")
    if status != "queued":
        end([run], status=status)
    run.refresh_from_db()
    return run


def long_ago() -> datetime:
    return database_now() - timedelta(days=400)
