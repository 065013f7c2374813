"""Schedules, their runs, and the rows by which the engine keeps watch."""

from schedules.models.engine import EngineLease, WorkerProcess
from schedules.models.run import Run, RunEvent, RunLogChunk
from schedules.models.schedule import Schedule, SkipSpan

__all__ = ("EngineLease", "Run", "RunEvent", "RunLogChunk", "Schedule", "SkipSpan", "WorkerProcess")
