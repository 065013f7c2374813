"""The beat: planning inside the tick of django-celery-beat's scheduler, which keeps the housekeeping entries.

Of several beats the one with the lease plans and fires housekeeping; the others stand by and take over when it
expires. A tick plans first, then admits, then rescues, then fires housekeeping; it never sleeps longer than
``tick_seconds``, since a sleep can't be interrupted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import F, Q
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from schedules.engine import fastlane
from schedules.engine.admission import admit_waiting
from schedules.engine.clock import database_now
from schedules.engine.leader import Leadership
from schedules.engine.pausing import pause_failing_due
from schedules.engine.planning import (
    next_due,
    note_zones_current,
    plan_due,
    recompute_cursors,
    zones_are_current,
)
from schedules.engine.publishing import BrokerUnreachable
from schedules.engine.rescue import Rescue
from schedules.engine.slots import RedisError, SlotsNotReady

logger = logging.getLogger(__name__)
T = TypeVar("T")

# How long planning may go on in one tick before admission gets its turn.
PLANNING_SECONDS = 1.0
RESCUE_SECONDS = 1.0
# What goes on longer than planned still has to be looked at, and a long look must not take all the time.
SWEEP_AT_LATEST, SWEEP_SHARE = 4.0, 5.0
FAREWELL_SECONDS = 2.0
SOON = 0.1


class WatchbillScheduler(DatabaseScheduler):  # type: ignore[misc]
    """``celery -A config beat`` with this scheduler is a watch that plans."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._leadership = Leadership()
        self._rescue = Rescue()
        self._leads = self._won = self._zones_current = False
        self._lease_checked = self._rescued = 0.0
        self._until_next_fire, self._sweep_every = 0.0, RESCUE_SECONDS
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One round. Never raises: an outage is waited out, and what it left is rescued afterwards."""
        limit: float = settings.WATCHBILL.tick_seconds
        try:
            if not self._lead():
                return limit
            self._step("zones", self._recompute)
            busy = self._step("planning", self._plan)
            if busy is None:  # it failed, and is tried again, though not at once
                self._until_next_fire = SOON
            self._step("admission", admit_waiting)
            self._sweep_in_turn(busy=bool(busy))
            wait = self._step("housekeeping", lambda: super(WatchbillScheduler, self).tick(*args, **kwargs))
        except (OperationalError, InterfaceError) as error:
            self._lost_database(error)
            return limit
        return 0 if busy else max(0.0, min(limit if wait is None else float(wait), self._until_next_fire, limit))

    def close(self) -> None:
        """A beat that ends in order lets the stand-by take over at once.

        Celery calls this in the handler of a signal, maybe in the middle of a statement: on that connection it would
        wait for itself, for ever. So it is done on a connection of its own, and not waited for for long.
        """
        farewell = threading.Thread(target=self._say_farewell, name="beat-farewell", daemon=True)
        farewell.start()
        farewell.join(timeout=FAREWELL_SECONDS)
        if farewell.is_alive():
            logger.warning("the lease was not given back in time, it expires")

    def _say_farewell(self) -> None:
        try:
            super().close()
            self._leadership.resign()
        except (OperationalError, InterfaceError) as error:
            logger.warning("the lease was not given back, it expires: %s", error)
        finally:
            connection.close()

    @property
    def producer(self) -> None:
        """None: publish through the app's pool, which fails fast. Celery's own waits for Redis, for minutes."""
        return

    def update_from_dict(self, mapping: dict[str, Any]) -> None:
        """Install the housekeeping entries that are missing; those that are there may have been edited."""
        known = set(PeriodicTask.objects.filter(name__in=mapping).values_list("name", flat=True))
        super().update_from_dict({name: entry for name, entry in mapping.items() if name not in known})

    def reserve(self, entry: Any) -> Any:
        """Take a due entry for this beat: a compare-and-set on when it last ran, before anything is sent."""
        previous = entry.last_run_at
        following = super().reserve(entry)
        unchanged = Q(last_run_at=previous) | Q(last_run_at=None)
        self._won = bool(
            PeriodicTask.objects.filter(unchanged, pk=entry.model.pk).update(
                last_run_at=following.last_run_at, total_run_count=F("total_run_count") + 1
            )
        )
        self._dirty.discard(following.name)
        return following

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send a housekeeping task, unless another beat fired it."""
        if self._won:
            super().apply_entry(entry, producer=producer)
        else:
            logger.info("housekeeping %s was fired by another beat", entry.name)

    def _lead(self) -> bool:
        """Whether this beat leads. The lease is renewed at a third of its length."""
        if self._leads and time.monotonic() - self._lease_checked < settings.WATCHBILL.leader_seconds / 3:
            return True
        asked = time.monotonic()
        leads = self._leadership.hold()
        if leads and not self._leads:
            logger.info("this beat leads now: %s", self._leadership.holder)
            self._take_over()
        self._leads, self._lease_checked = leads, asked
        return leads

    def _take_over(self) -> None:
        """What the former leader fired is in the database; what we remember is stale."""
        self._rescue.forget()
        self._dirty.clear()
        self._schedule = self.all_as_schedule()
        self._heap = None

    def _recompute(self) -> None:
        """Next fires by the present time-zone data, once for each version: a new one comes with a new process."""
        begun = time.monotonic()
        self._zones_current = self._zones_current or zones_are_current()
        while not self._zones_current and time.monotonic() - begun < PLANNING_SECONDS:
            self._zones_current = not recompute_cursors(database_now())
            if self._zones_current:
                note_zones_current(database_now())

    def _plan(self) -> bool:
        """Plan what is due, for about a second at most. Returns whether more is due."""
        if not self._is_due():
            return False
        self._step("failing jobs", lambda: pause_failing_due(database_now()))
        begun, turn = time.monotonic(), 0
        while fastlane.is_open() and time.monotonic() - begun < PLANNING_SECONDS:
            if fastlane.plan_fast(database_now()) < fastlane.BATCH:
                break
        while time.monotonic() - begun < PLANNING_SECONDS:
            if not plan_due(database_now(), latest_first=bool(turn % 2)).more:
                if self._is_due():  # what somebody else holds now, or what has just become due
                    self._until_next_fire = SOON
                return False
            turn += 1
        return True

    def _is_due(self) -> bool:
        """Whether a fire is due, and when the next one will be: the tick sleeps no longer than until then."""
        self._until_next_fire = float("inf")
        if first := next_due():
            self._until_next_fire = (first - database_now()).total_seconds()
        return self._until_next_fire <= 0

    def _sweep_in_turn(self, *, busy: bool) -> None:
        """Each second. Put off while more is due, or when it takes long, but never for long."""
        waited = time.monotonic() - self._rescued
        if waited >= (SWEEP_AT_LATEST if busy else self._sweep_every):
            begun = time.monotonic()
            self._step("lost leases", lambda: self._rescue.lost_leases(database_now()))
            self._step("slots", self._rescue.slots)
            self._step("unclaimed", lambda: self._rescue.unclaimed(database_now()))
            self._rescued = time.monotonic()
            took = self._rescued - begun
            self._sweep_every = min(max(RESCUE_SECONDS, SWEEP_SHARE * took), SWEEP_AT_LATEST)

    def _step(self, name: str, work: Callable[[], T]) -> T | None:
        """One phase: when Redis is away or the phase is broken the others go on, and it is tried in the next tick."""
        try:
            return work()
        except (OperationalError, InterfaceError):
            raise
        except (RedisError, SlotsNotReady, BrokerUnreachable) as error:
            logger.warning("%s waits for Redis: %s", name, error)
        except Exception:
            logger.exception("%s failed; the watch goes on", name)
        return None

    def _lost_database(self, error: Exception) -> None:
        logger.warning("the database can't be reached, the watch goes on when it is back: %s", error)
        self._leads = False
        self._rescue.forget()
        connection.close()
