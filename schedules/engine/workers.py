"""Workers report themselves every few seconds, for admission (how many slots a queue has) and for ``status``."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from datetime import timedelta
from typing import Any

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.db import DatabaseError, InterfaceError, connection

from schedules.engine import draining
from schedules.engine.clock import database_now
from schedules.models import WorkerProcess

logger = logging.getLogger(__name__)

REPORT_SECONDS = 5.0
# How soon a worker sees that it is to drain, and says how far it is.
LOOK_SECONDS = 1.0
GONE_AFTER = timedelta(seconds=30)
FORGOTTEN_AFTER = timedelta(days=1)


class Reporter:
    """One worker's sign of life, from its parent process."""

    def __init__(self, *, name: str, queues: list[str], slots: int) -> None:
        self.name, self.queues, self.slots = name, queues, slots
        self._reported = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="worker-report", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(timeout=3)

    def _loop(self) -> None:
        first = True
        while first or not self._end.wait(LOOK_SECONDS):
            try:
                self._look(first=first)
                first = False
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the worker can't report itself: %s", error)
                connection.close()
                if self._end.wait(1):
                    break
        self._leave()

    def _look(self, *, first: bool) -> None:
        if not draining.is_draining() and WorkerProcess.objects.filter(name=self.name, drains_since__isnull=False):
            if first:
                # Of the one before us under this name.
                WorkerProcess.objects.filter(name=self.name).update(drains_since=None)
            else:
                logger.info("this worker was told to drain")
                # As if from outside: one way to end, whoever asked.
                os.kill(os.getpid(), signal.SIGTERM)
        if first or draining.is_draining() or time.monotonic() - self._reported >= REPORT_SECONDS:
            self.report(first=first)
            self._reported = time.monotonic()

    def report(self, *, first: bool) -> None:
        now = database_now()
        drains = draining.is_draining()
        # Without queues, admission counts on it for no message more.
        values: dict[str, Any] = {
            "queues": [] if drains else self.queues,
            "slots": self.slots,
            "seen_at": now,
            "at_work": _at_work(),
        }
        if first:
            values["started_at"] = now
        WorkerProcess.objects.update_or_create(
            name=self.name, defaults=values, create_defaults=values | {"started_at": now}
        )
        if drains:
            WorkerProcess.objects.filter(name=self.name, drains_since=None).update(drains_since=now)

    def _leave(self) -> None:
        try:
            WorkerProcess.objects.filter(name=self.name).delete()
        except (DatabaseError, InterfaceError):
            logger.warning("the worker can't sign off; it is forgotten in a day")
        connection.close()


def _at_work() -> int:
    from celery.worker import state  # noqa: PLC0415 - only a worker needs what this loads

    return len(state.active_requests)


_reporters: list[Reporter] = []


@worker_ready.connect
def _on_ready(sender: Any, **_: Any) -> None:
    queues = sorted(sender.task_consumer.queues and [queue.name for queue in sender.task_consumer.queues])
    reporter = Reporter(name=sender.hostname, queues=queues, slots=sender.pool.num_processes or 1)
    reporter.start()
    _reporters.append(reporter)


@worker_shutting_down.connect
def _on_shutting_down(**_: Any) -> None:
    """SIGTERM, in the signal's handler: only note it. Celery takes no new messages from now on."""
    draining.begin()


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
