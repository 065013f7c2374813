"""What the tests of the forecast build their worlds of: minutes on one morning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from schedules.forecast.jobs import Expected, Job, Limits, Line, Present
from schedules.forecast.outcomes import Outcome
from schedules.forecast.pieces import Pieces
from schedules.forecast.simulation import Simulation

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def minute(number: float) -> datetime:
    return MIDNIGHT + timedelta(minutes=number)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def line(key: int, fires: Sequence[float] = (), *, takes: float = 10, late: float = 0, **values: Any) -> Line:
    """A job named after its key; fires, duration and jitter in minutes."""
    values.setdefault("name", f"job-{key}")
    black = Pieces([(minute(start), minute(end), text) for start, end, text in values.pop("black", [])])
    job = Job(key=key, duration=minutes(takes), **values)
    return Line(job=job, fires=[Expected(fire=minute(at), due=minute(at + late)) for at in fires], black=black)


def simulate(
    *lines: Line, organisation: int = 10, agents: dict[int, int] | None = None, present: Sequence[Present] = ()
) -> list[Outcome]:
    limits = Limits(organisation=organisation, agents=agents or {})
    simulation = Simulation(lines, limits=limits, start=MIDNIGHT, through=MIDNIGHT + DAY, present=present)
    return list(simulation.outcomes())


def told(outcomes: list[Outcome]) -> list[tuple[str, str, float | None]]:
    """Name, kind, and the minute of the start, in the order of the answer."""
    return [
        (each.job.name, each.kind, (each.started - MIDNIGHT) / minutes(1) if each.started else None)
        for each in outcomes
    ]
