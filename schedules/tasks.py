"""The Celery tasks of this floor: thin shells. One task an executor, so that Flower shows what runs by its name."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from celery import shared_task

from fleet.errors import InvalidInput
from schedules.engine import execution
from schedules.engine.claims import claim_of
from schedules.engine.clock import database_now
from schedules.engine.workers import workers_prune
from schedules.executors.registry import executors
from schedules.services import housekeeping
from schedules.services.housekeeping import Budget, Terms, checked

logger = logging.getLogger(__name__)


def _register(key: str) -> None:
    # The queue comes with each message: publishing routes by the run, beat by the default, housekeeping.
    @shared_task(name=key, ignore_result=True, acks_late=True)
    def run_attempt(*args: Any, **kwargs: Any) -> None:
        if claim := claim_of(args, kwargs):
            execution.execute(claim)
        else:
            logger.error("a message for %s was dropped: its arguments name no attempt of a run", key)


for _key in executors():
    _register(_key)


@shared_task(name="housekeeping.prune_workers", ignore_result=False)
def prune_workers() -> dict[str, Any]:
    """Forget workers that have not reported for a day."""
    return {"removed": {"workers": workers_prune()}}


@shared_task(name="housekeeping.prune_runs", ignore_result=False)
def prune_runs(*, days: int = 90, keep: int = 10, most: int = 10_000, minutes: int = 10) -> dict[str, Any]:
    """Remove runs, with their events and logs, that ended more than ``days`` ago or are beyond the newest ``most`` of
    their schedule; never one of its newest ``keep``. It goes on for ``minutes`` at most, and next time from there."""
    checked(days=days, keep=keep, most=most, minutes=minutes)
    if most < keep:
        raise InvalidInput(f"most must be at least keep, {keep}, not {most}.", field="most")
    terms = Terms(now=database_now(), days=days, keep=keep, most=most)
    return {"removed": housekeeping.runs_prune(terms, Budget(minutes=minutes))}


@shared_task(name="housekeeping.prune_logs", ignore_result=False)
def prune_logs(*, days: int = 30, minutes: int = 10) -> dict[str, Any]:
    """Remove the logs of runs that ended more than ``days`` ago; the runs stay."""
    checked(days=days, minutes=minutes)
    before = database_now() - timedelta(days=days)
    return {"removed": housekeeping.logs_prune(before=before, budget=Budget(minutes=minutes))}


@shared_task(name="housekeeping.prune_results", ignore_result=False)
def prune_results(*, days: int = 30, minutes: int = 10) -> dict[str, Any]:
    """Remove the results of housekeeping tasks that were done more than ``days`` ago."""
    checked(days=days, minutes=minutes)
    before = database_now() - timedelta(days=days)
    return {"removed": housekeeping.results_prune(before=before, budget=Budget(minutes=minutes))}


@shared_task(name="housekeeping.prune_engine_events", ignore_result=False)
def prune_engine_events(*, days: int = 90, most: int = 10_000, minutes: int = 10) -> dict[str, Any]:
    """Remove what happened to the engine more than ``days`` ago, and all but the newest ``most``."""
    checked(days=days, most=most, minutes=minutes)
    before, budget = database_now() - timedelta(days=days), Budget(minutes=minutes)
    return {"removed": housekeeping.engine_events_prune(before=before, most=most, budget=budget)}
