"""Removing what is old, in small batches, so that planning never waits. The tasks are in ``schedules.tasks``."""

from schedules.services.housekeeping.budget import Budget, checked
from schedules.services.housekeeping.logs import logs_prune
from schedules.services.housekeeping.rows import engine_events_prune, results_prune
from schedules.services.housekeeping.runs import Terms, runs_prune

__all__ = ("Budget", "Terms", "checked", "engine_events_prune", "logs_prune", "results_prune", "runs_prune")
