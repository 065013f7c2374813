"""The Celery tasks of this floor: thin shells. One task an executor, so that Flower shows what runs by its name."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from schedules.engine import execution
from schedules.engine.workers import workers_prune
from schedules.executors.registry import executors


def _register(key: str) -> None:
    # The queue comes with each message: publishing routes by the run, beat by the default, housekeeping.
    @shared_task(name=key, ignore_result=True, acks_late=True)
    def run_attempt(*, run: int, attempt: int, token: str, schedule: str = "") -> None:  # noqa: ARG001
        execution.execute(run_id=run, attempt=attempt, token=token)


for _key in executors():
    _register(_key)


@shared_task(name="housekeeping.prune_workers", ignore_result=False)
def prune_workers() -> dict[str, Any]:
    """Forget workers that have not reported for a day."""
    return {"removed": workers_prune()}
