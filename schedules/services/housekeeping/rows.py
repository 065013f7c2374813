"""Pruning rows that stand alone: the results of housekeeping tasks, the engine's events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django_celery_results.models import TaskResult

from schedules.models import EngineEvent
from schedules.services.housekeeping.budget import BATCH, Budget


def results_prune(*, before: datetime, budget: Budget, batch: int = BATCH) -> dict[str, int]:
    """Remove the results of tasks that were done before this instant."""
    old = TaskResult.objects.filter(date_done__lt=before).order_by("date_done")
    return {"results": _prune(old, budget, batch)}


def engine_events_prune(*, before: datetime, most: int, budget: Budget, batch: int = BATCH) -> dict[str, int]:
    """Remove what happened before this instant, and all but the newest ``most``."""
    removed = _prune(EngineEvent.objects.filter(at__lt=before).order_by("pk"), budget, batch)
    newest = EngineEvent.objects.order_by("-pk").values_list("pk", flat=True)[most - 1 : most]
    for bound in newest:
        removed += _prune(EngineEvent.objects.filter(pk__lt=bound).order_by("pk"), budget, batch)
    return {"events": removed}


def _prune(rows: QuerySet[Any], budget: Budget, batch: int) -> int:
    removed = 0
    while budget.goes_on() and (count := _remove(rows, batch)):
        removed += count
        budget.pause()
    return removed


@transaction.atomic
def _remove(rows: QuerySet[Any], batch: int) -> int:
    keys = list(rows.values_list("pk", flat=True)[:batch])
    return int(rows.model.objects.filter(pk__in=keys).delete()[0]) if keys else 0
