"""The keeper of a worker process: it renews leases, sees cancel flags and deadlines, and writes logs.

One heartbeat thread a process, whatever the pool; logs go by a second one, so that a slow write never delays a
heartbeat; and a third ends what has lost its lease, without the database, since a heartbeat may hang in a query that
is never answered. Celery's time limits and ``revoke(terminate)`` are not used: the thread pool ignores them, and on
prefork they can kill the child's next task.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from schedules.engine import draining, lifecycle
from schedules.engine.attempt import Attempt
from schedules.models import Run

logger = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
FLUSH_SECONDS = 0.25
LEASE_SECONDS = 0.25


class Keeper:
    """Looks after the attempts of this process."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self._beat_due = 0.0
        self._start("lease-keeper", self._watch, WATCH_SECONDS)
        self._start("log-writer", self._flush, FLUSH_SECONDS)
        self._start("lease-watch", self._end_overdue, LEASE_SECONDS)

    @contextmanager
    def attending(self, attempt: Attempt) -> Iterator[None]:
        """Keep this attempt's lease, deadline and log while the block runs."""
        key = attempt.run.claim_token
        with self._lock:
            self._attempts[key] = attempt
        try:
            yield
        finally:
            with self._lock:
                del self._attempts[key]

    def attempts(self) -> list[Attempt]:
        with self._lock:
            return list(self._attempts.values())

    def _start(self, name: str, work: Callable[[list[Attempt]], None], seconds: float) -> None:
        threading.Thread(target=self._loop, args=(work, seconds), name=name, daemon=True).start()

    def _loop(self, work: Callable[[list[Attempt]], None], seconds: float) -> None:
        while True:
            time.sleep(seconds)
            if not (attempts := self.attempts()):
                continue
            try:
                work(attempts)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the database can't be reached: %s", error)
                connection.close()
            except Exception:
                logger.exception("the keeper goes on")

    def _end_overdue(self, attempts: list[Attempt]) -> None:
        """End what could not be renewed for a lease, and what a drain waits for no longer. The lease one heartbeat
        sooner: when the rescue, which waits a whole one, gives the run to another worker, this one has stopped."""
        longest = settings.WATCHBILL.lease_seconds - settings.WATCHBILL.heartbeat_seconds
        for attempt in attempts:
            if time.monotonic() - attempt.renewed > longest:
                attempt.stop("lease_lost")
            elif draining.is_over():
                attempt.stop("drained")

    def _watch(self, attempts: list[Attempt]) -> None:
        if time.monotonic() >= self._beat_due:
            self._renew(attempts)
            self._beat_due = time.monotonic() + settings.WATCHBILL.heartbeat_seconds
        self._see_cancels_and_deadlines(attempts)

    def _renew(self, attempts: list[Attempt]) -> None:
        asked = time.monotonic()
        held = lifecycle.runs_renew([attempt.run for attempt in attempts])
        for attempt in attempts:
            if attempt.run.claim_token in held:
                attempt.renewed = asked
            elif self._is_attended(attempt):
                attempt.stop("lease_lost")

    def _is_attended(self, attempt: Attempt) -> bool:
        """Whether it is still at work: one that just finished has given its token back itself."""
        with self._lock:
            return attempt.run.claim_token in self._attempts

    def _see_cancels_and_deadlines(self, attempts: list[Attempt]) -> None:
        rows = Run.objects.filter(pk__in=[attempt.run_id for attempt in attempts])
        asked = set(rows.exclude(cancel_requested_at=None).values_list("pk", flat=True))
        for attempt in attempts:
            if attempt.run_id in asked:
                attempt.stop("cancelled")
            # By elapsed time: a clock that leaps must end nothing.
            elif time.monotonic() - attempt.began >= attempt.run.timeout_seconds:
                attempt.stop("timeout")

    def _flush(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            attempt.runlog.flush()


def keeper() -> Keeper:
    """This process's keeper; a forked child starts its own, since threads do not survive a fork."""
    return _keeper(os.getpid())


@cache
def _keeper(_pid: int) -> Keeper:
    return Keeper()
