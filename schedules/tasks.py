"""The Celery tasks of this floor: thin shells. One task an executor, so that Flower shows what runs by its name."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

from schedules.engine import execution
from schedules.engine.workers import workers_prune
from schedules.executors.registry import executors

logger = logging.getLogger(__name__)


def _register(key: str) -> None:
    # The queue comes with each message: publishing routes by the run, beat by the default, housekeeping.
    @shared_task(name=key, ignore_result=True, acks_late=True)
    def run_attempt(*, run: Any = None, attempt: Any = None, token: Any = None, schedule: str = "") -> None:
        if isinstance(run, int) and isinstance(attempt, int) and isinstance(token, str):
            execution.execute(run_id=run, attempt=attempt, token=token)
        else:
            named = f"run {run!r:.50}, attempt {attempt!r:.50}"
            logger.warning("a message that the engine did not write, dropped: %s of %.50r", named, schedule)


for _key in executors():
    _register(_key)


@shared_task(name="housekeeping.prune_workers", ignore_result=False)
def prune_workers() -> dict[str, Any]:
    """Forget workers that have not reported for a day."""
    return {"removed": workers_prune()}
