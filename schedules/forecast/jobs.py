"""What the simulation is told: jobs with their expected fires, limits, and what is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from schedules.forecast.pieces import Pieces

Overlap = Literal["skip", "queue_one", "queue_all", "cancel_running"]
Hold = Literal["shared", "exclusive", "recovery"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A schedule as far as its runs' times depend on it.

    ``key`` is its identity, ``agent`` that of its agent. ``duration`` is what a run usually takes; ``assumed`` says
    that nobody knows yet. ``limit`` is how many of its runs may be at work at once, ``start_within`` how long a run
    may wait, ``runs_left`` how many fires may still become runs, ``grace`` how long a recovery lets those go on that
    hold its agent. Its runs also follow those of the job ``follows``, cancelled ones only with ``follows_cancelled``.
    """

    key: int
    name: str
    duration: timedelta
    assumed: bool = False
    agent: int | None = None
    limit: int = 1
    priority: int = 5
    overlap: Overlap = "skip"
    hold: Hold = "shared"
    start_within: timedelta | None = None
    runs_left: int | None = None
    grace: timedelta = timedelta()
    follows: int | None = None
    follows_cancelled: bool = False

    def __post_init__(self) -> None:
        if self.duration < timedelta():
            raise ValueError(f"{self.name}: a run can't take {self.duration}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """A fire, and when its run may start: the fire itself unless there is jitter. Both in UTC."""

    fire: datetime
    due: datetime


@dataclass(frozen=True, kw_only=True)
class Line:
    """A job with its expected fires in order, and the pieces of time in which none of them becomes a run."""

    job: Job
    fires: Sequence[Expected] = ()
    black: Pieces = field(default_factory=Pieces)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many runs of the organisation, and of each agent, may be at work at once."""

    organisation: int
    agents: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Present:
    """A run that is there when the forecast begins: it waits since ``due``, or is at work since ``started``.

    ``scheduled``: it came from the timing, and counts for overlap.
    """

    job: int
    due: datetime
    started: datetime | None = None
    scheduled: bool = True
