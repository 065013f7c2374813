"""What the simulation answers: one outcome for each expected fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from schedules.forecast.jobs import Job

#: ``ran``: it started (and is over, or still at work at the end of the forecast). ``cancelled``: it became a run that a
#: later one replaced. ``waiting``: it still waits at the end of the forecast. The others became no run: an earlier run
#: was active, inside a blackout, past the maximum of runs, not started in time.
Kind = Literal["ran", "cancelled", "waiting", "overlap", "blackout", "limit", "late"]

#: What a run waited for: a slot of its organisation, its schedule or its agent; to have its agent alone; or for the one
#: that has its agent alone (or waits to have it so).
Scope = Literal["organisation", "schedule", "agent", "alone", "held"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """What a run waited for when it was due: the scope that was full, its limit, and the jobs that filled it."""

    scope: Scope
    limit: int
    behind: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What becomes of a fire. ``fire`` is None for a run that no fire made: it follows another, or was there before.

    ``due`` is when it may start (the fire, when it becomes no run). ``started`` and ``ended`` are None where it does
    not; a run at work at the end of the forecast has no end. ``wait`` is there when it could not start as soon as it
    was due, ``beside`` names the jobs that were at work on its agent when it started, ``text`` is the blackout's, or
    the name of the job that cancelled it.
    """

    job: Job
    kind: Kind
    fire: datetime | None
    due: datetime
    started: datetime | None = None
    ended: datetime | None = None
    wait: Wait | None = None
    beside: tuple[str, ...] = ()
    text: str = ""

    @property
    def waited(self) -> timedelta:
        """From being due to its start; nothing when it started at once or never."""
        return self.started - self.due if self.started else timedelta()
