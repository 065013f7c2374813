"""Schedules and runs written straight into the database, for tests of what reads them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from fleet.models import Organisation
from schedules import timing
from schedules.models import Run, Schedule

_numbers = count(1)


def saved(organisation: Organisation, name: str, expression: str = "@manually", **values: Any) -> Schedule:
    """A schedule of the witness executor, made on 1 January 2026."""
    made = datetime.fromisoformat("2026-01-01T00:00Z")
    kind = timing.parse(expression, timezone=values.get("timezone", "UTC"), anchor=made).kind
    fixed = {"anchor_at": made, "planned_through": made, "resumed_at": made, "created_by": "test", "kind": kind}
    values = {"executor": "test.trace", "payload": {"trace": "/dev/null"}, "display_name": name} | fixed | values
    return Schedule.objects.create(organisation=organisation, name=name, expression=expression, **values)


def ran(schedule: Schedule, seconds: float, *, at: datetime, status: str = "success") -> Run:
    """A run of it that is over."""
    return _run(schedule, status, at, finished_at=at + timedelta(seconds=seconds), duration_ms=round(seconds * 1000))


def running(schedule: Schedule, *, since: datetime, **values: Any) -> Run:
    return _run(schedule, "running", since, claim_token="claimed", **values)


def queued(schedule: Schedule, *, due: datetime, **values: Any) -> Run:
    return _run(schedule, "queued", due, next_attempt_at=due, **{"started_at": None} | values)


def _run(schedule: Schedule, status: str, at: datetime, **values: Any) -> Run:
    fields = {"trigger": "schedule", "created_at": at, "started_at": at, "executor": schedule.executor} | values
    return Run.objects.create(
        organisation=schedule.organisation,
        schedule=schedule,
        agent=schedule.agent,
        schedule_name=schedule.name,
        job_run_id=f"test-{next(_numbers)}",
        queue="housekeeping",
        status=status,
        **fields,
    )
