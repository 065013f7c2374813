"""Workers report themselves every few seconds, for admission (how many slots a queue has) and for ``status``."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

from celery.signals import worker_ready, worker_shutdown
from django.db import DatabaseError, InterfaceError, connection

from schedules.engine.clock import database_now
from schedules.models import WorkerProcess

logger = logging.getLogger(__name__)

REPORT_SECONDS = 5.0
GONE_AFTER = timedelta(seconds=30)
FORGOTTEN_AFTER = timedelta(days=1)


class Reporter:
    """One worker's sign of life, from its parent process."""

    def __init__(self, *, name: str, queues: list[str], slots: int) -> None:
        self.name, self.queues, self.slots = name, queues, slots
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="worker-report", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(timeout=3)

    def _loop(self) -> None:
        first = True
        while first or not self._end.wait(REPORT_SECONDS):
            try:
                self.report(first=first)
                first = False
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the worker can't report itself: %s", error)
                connection.close()
                if self._end.wait(1):
                    break
        self._leave()

    def report(self, *, first: bool) -> None:
        now = database_now()
        values: dict[str, Any] = {"queues": self.queues, "slots": self.slots, "seen_at": now}
        if first:
            values["started_at"] = now
        WorkerProcess.objects.update_or_create(
            name=self.name, defaults=values, create_defaults=values | {"started_at": now}
        )

    def _leave(self) -> None:
        try:
            WorkerProcess.objects.filter(name=self.name).delete()
        except (DatabaseError, InterfaceError):
            logger.warning("the worker can't sign off; it is forgotten in a day")
        connection.close()


_reporters: list[Reporter] = []


@worker_ready.connect
def _on_ready(sender: Any, **_: Any) -> None:
    queues = sorted(sender.task_consumer.queues and [queue.name for queue in sender.task_consumer.queues])
    reporter = Reporter(name=sender.hostname, queues=queues, slots=sender.pool.num_processes or 1)
    reporter.start()
    _reporters.append(reporter)


@worker_shutdown.connect
def _on_shutdown(**_: Any) -> None:
    while _reporters:
        _reporters.pop().stop()


def workers_alive() -> list[WorkerProcess]:
    """Workers that reported in the last half minute."""
    return list(WorkerProcess.objects.filter(seen_at__gt=database_now() - GONE_AFTER).order_by("name"))


def workers_prune() -> int:
    """Forget workers that have not reported for a day. Returns how many."""
    return WorkerProcess.objects.filter(seen_at__lt=database_now() - FORGOTTEN_AFTER).delete()[0]
