"""Telling workers to finish what they do, take nothing new, and end."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from fleet.errors import NotFound
from fleet.names import near
from schedules.engine.clock import database_now
from schedules.engine.workers import workers_alive
from schedules.models import WorkerProcess


@transaction.atomic(durable=True)
def workers_drain(*, names: Sequence[str] = ()) -> list[WorkerProcess]:
    """Tell these workers to end, or all: each sees it within a second or two. Returns them.

    A name without its host (``one`` for ``one@host``) will do. Raises :class:`NotFound`.
    """
    alive = workers_alive()
    if not alive:
        raise NotFound("No worker is alive: there is nothing to drain. `manage.py status` says what is up.")
    wanted = [worker for name in names for worker in _named(name, alive)] if names else alive
    rows = WorkerProcess.objects.filter(name__in=[worker.name for worker in wanted])
    rows.filter(drains_since=None).update(drains_since=database_now())
    return list(rows.order_by("name"))


def _named(name: str, alive: Sequence[WorkerProcess]) -> list[WorkerProcess]:
    found = [worker for worker in alive if name in {worker.name, worker.name.partition("@")[0]}]
    if not found:
        known = [worker.name for worker in alive]
        raise NotFound(f"There is no worker {name!r}.{near(name, known)} Alive are: {', '.join(known)}.")
    return found


def workers_left(names: Sequence[str]) -> list[WorkerProcess]:
    """Those of them that have not ended yet."""
    return list(WorkerProcess.objects.filter(name__in=names, drains_since__isnull=False).order_by("name"))
