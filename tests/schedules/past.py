"""A job with a past: a run, fires that it outlasted, fires that were missed, a pause, and a second one that goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fleet.actors import Actor
from schedules.engine.planning import plan_due
from schedules.models import Schedule
from schedules.services.schedules import schedule_disable, schedule_enable

ACTOR = Actor.system("test")
BORN, NOW = "2026-02-25T00:30:00Z", "2026-02-25T12:30:00Z"


def live(traveller: Any, make: Callable[[], Schedule]) -> Schedule:
    """An hourly job from 00:30 on; at 12:30 its ledger is: 01 ran, 02 overlap, 03-05 missed, 06 overlap, 07-09 paused,
    10 overlap, from 11 on paused. ``traveller``: a clock of time-machine."""
    traveller.move_to(BORN)
    schedule = make()
    for moment in ("01:00:01", "02:00:01", "06:10:00"):  # the beat was down from two to six
        _plan(traveller, moment)
    traveller.move_to("2026-02-25T06:30:00Z")
    schedule_disable(schedule=schedule, actor=ACTOR, reason="storage moves")
    traveller.move_to("2026-02-25T09:30:00Z")
    schedule_enable(schedule=schedule, actor=ACTOR)
    _plan(traveller, "10:00:01")
    traveller.move_to("2026-02-25T10:30:00Z")
    schedule_disable(schedule=schedule, actor=ACTOR, reason="and again")
    traveller.move_to(NOW)
    schedule.refresh_from_db()
    return schedule


def _plan(traveller: Any, clock: str) -> None:
    traveller.move_to(f"2026-02-25T{clock}Z")
    plan_due(datetime.now(UTC))
