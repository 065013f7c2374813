"""Schedules, their runs, and the rows by which the engine keeps watch."""

from schedules.models.backfill import Backfill
from schedules.models.blackout import BlackoutCalendar
from schedules.models.engine import EngineEvent, EngineLease, WorkerProcess
from schedules.models.ledger import ScheduleRevision, SkipSpan
from schedules.models.run import Run, RunEvent, RunLogChunk
from schedules.models.schedule import Schedule

__all__ = (
    "Backfill",
    "BlackoutCalendar",
    "EngineEvent",
    "EngineLease",
    "Run",
    "RunEvent",
    "RunLogChunk",
    "Schedule",
    "ScheduleRevision",
    "SkipSpan",
    "WorkerProcess",
)
