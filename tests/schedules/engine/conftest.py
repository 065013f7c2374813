"""What the engine's tests stand on: an organisation, schedules of the witness app, a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.actors import Actor
from fleet.models import Organisation
from schedules.models import Schedule
from tests.schedules.engine.time_travel import Clock

ACTOR = Actor.system("test")


@pytest.fixture
def organisation(transactional_db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main", max_concurrent_runs=10)


@pytest.fixture
def make_schedule(organisation: Organisation) -> Callable[..., Schedule]:
    """A schedule as the service makes it, with fields set afterwards as a test needs them."""
    from schedules.services.schedules import schedule_create

    def make(name: str = "job", expression: str = "@manually", **values: Any) -> Schedule:
        later = {key: values.pop(key) for key in ("next_run_at", "anchor_at") if key in values}
        values.setdefault("payload", {"trace": "/dev/null"})
        schedule = schedule_create(
            organisation=values.pop("organisation", organisation),
            actor=ACTOR,
            display_name=name,
            expression=expression,
            executor=values.pop("executor", "test.trace"),
            **values,
        )
        if "next_run_at" in later:
            # Its life begins just before that fire, whatever the clock says.
            later["planned_through"] = later["resumed_at"] = later["next_run_at"] - timedelta(microseconds=1)
            schedule.revisions.update(since=later["planned_through"])
        if later:
            Schedule.objects.filter(pk=schedule.pk).update(**later)
            schedule.revisions.update(anchor_at=later.get("anchor_at", schedule.anchor_at))
            schedule.refresh_from_db()
        return schedule

    return make


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    """What went to the broker: (run, attempt, token). The broker itself is met in tests/acceptance."""
    from schedules.engine import publishing

    sent: list[tuple[int, int, str]] = []

    def send(messages: Any) -> None:
        sent.extend((message.run, message.attempt, message.token) for message in messages)

    monkeypatch.setattr(publishing, "send", send)
    return sent


def at(text: str) -> datetime:
    """``at("2026-02-25 02:00:00")``, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
