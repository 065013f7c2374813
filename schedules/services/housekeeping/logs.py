"""Pruning logs alone: the run stays, with its outcome and events."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from schedules.models import RunLogChunk
from schedules.services.housekeeping.budget import BATCH, Budget


def logs_prune(*, before: datetime, budget: Budget, batch: int = BATCH) -> dict[str, int]:
    """Remove the logs of runs that ended before this instant. Returns how many pieces and runs that were."""
    chunks, runs, last = 0, 0, 0
    while budget.goes_on():
        page = _page(last, batch)
        # A piece is written while its run goes on: behind a page of younger runs only, all are younger.
        if not page or all(created >= before for _, _, created, _ in page):
            break
        old = {run for _, run, _, finished in page if finished and finished < before}
        chunks += _remove([pk for pk, run, _, _ in page if run in old])
        runs += len(old)
        last = page[-1][0]
        budget.pause()
    return {"log_pieces": chunks, "runs": runs}


def _page(last: int, batch: int) -> list[tuple[int, int, datetime, datetime | None]]:
    """In the order in which they were written: piece, run, when the run was created and when it ended."""
    rows = RunLogChunk.objects.filter(pk__gt=last).order_by("pk")
    return list(rows.values_list("pk", "run_id", "run__created_at", "run__finished_at")[:batch])


@transaction.atomic
def _remove(chunks: list[int]) -> int:
    return RunLogChunk.objects.filter(pk__in=chunks).delete()[0] if chunks else 0
