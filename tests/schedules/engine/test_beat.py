"""The beat: leads or stands by, fires housekeeping once, and outlives outages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client
from django.db import OperationalError, connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config.celery import app
from schedules.beat import WatchbillScheduler
from schedules.engine.clock import database_now
from schedules.models import EngineLease, Run, Schedule

NAME = "Forget workers that are gone"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which housekeeping tasks were sent."""
    names: list[str] = []

    def apply_async(self: Any, entry: Any, *_: Any, **__: Any) -> None:
        names.append(entry.name)

    monkeypatch.setattr(WatchbillScheduler, "apply_async", apply_async)
    return names


@pytest.fixture
def beats(transactional_db: None) -> Iterator[Callable[[], WatchbillScheduler]]:
    made: list[WatchbillScheduler] = []

    def make() -> WatchbillScheduler:
        made.append(WatchbillScheduler(app=app))
        return made[-1]

    yield make
    for beat in made:
        beat._finalize.cancel()


def make_due() -> None:
    PeriodicTask.objects.filter(name=NAME).update(last_run_at=database_now() - timedelta(hours=2))


def test_two_beats_fire_a_housekeeping_entry_once(
    beats: Callable[[], WatchbillScheduler], sent: list[str], redis: redis_client.Redis
) -> None:
    one, two = beats(), beats()
    make_due()
    # Both hold the entry as due, as after a leader that was taken for dead: only the database decides.
    for beat in (one, two):
        beat._take_over()
        super(WatchbillScheduler, beat).tick()
    assert sent == [NAME]
    entry = PeriodicTask.objects.get(name=NAME)
    assert entry.total_run_count == 1


def test_a_take_over_fires_nothing_again(
    beats: Callable[[], WatchbillScheduler], sent: list[str], redis: redis_client.Redis
) -> None:
    one, two = beats(), beats()
    two._take_over()
    make_due()
    one.tick()
    one.tick()
    one.close()
    two.tick()
    two.tick()
    assert sent == [NAME]


def test_a_stand_by_neither_plans_nor_cleans(
    beats: Callable[[], WatchbillScheduler], sent: list[str], make_schedule: Callable[..., Schedule]
) -> None:
    leader, standby = beats(), beats()
    assert leader._lead()
    now = database_now().replace(microsecond=0)
    make_schedule("due", "* * * * * *", next_run_at=now - timedelta(seconds=1))
    make_due()
    standby.tick()
    assert not Run.objects.exists()
    assert sent == []


def test_planning_goes_on_while_redis_is_down(
    beats: Callable[[], WatchbillScheduler], sent: list[str], make_schedule: Callable[..., Schedule], settings: Any
) -> None:
    import dataclasses

    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, redis_url="redis://127.0.0.1:1/0")
    now = database_now().replace(microsecond=0)
    make_schedule("due", "* * * * * *", next_run_at=now - timedelta(seconds=1))
    beats().tick()
    assert Run.objects.filter(status="queued", admission_token="").exists()


def test_an_edit_in_the_admin_outlives_a_restart(beats: Callable[[], WatchbillScheduler]) -> None:
    beats()
    daily, _ = IntervalSchedule.objects.get_or_create(every=1, period="days")
    PeriodicTask.objects.filter(name=NAME).update(interval=daily, enabled=False)
    beats()
    entry = PeriodicTask.objects.get(name=NAME)
    assert entry.interval == daily
    assert not entry.enabled


def test_a_tick_outlives_the_database(
    beats: Callable[[], WatchbillScheduler], monkeypatch: pytest.MonkeyPatch, redis: redis_client.Redis
) -> None:
    from schedules import beat as module

    beat = beats()

    def gone(*_: Any, **__: Any) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(module, "next_due", gone)
    assert beat.tick() > 0
    assert not beat._leads, "it asks for the lease again"
    monkeypatch.undo()
    assert beat.tick() >= 0


def test_planning_that_fails_is_tried_again_and_not_at_once(
    beats: Callable[[], WatchbillScheduler],
    make_schedule: Callable[..., Schedule],
    monkeypatch: pytest.MonkeyPatch,
    redis: redis_client.Redis,
) -> None:
    """A fire stays due while planning fails: a tick that slept until it would never sleep."""
    from schedules import beat as module

    make_schedule("due", "* * * * * *", next_run_at=database_now().replace(microsecond=0) - timedelta(seconds=1))

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a damaged row")

    monkeypatch.setattr(module, "plan_due", broken)
    monkeypatch.setattr(module.fastlane, "is_open", lambda: False)
    assert beats().tick() > 0


def test_beat_does_not_wait_for_a_broker(beats: Callable[[], WatchbillScheduler]) -> None:
    assert beats().producer is None


def test_a_signal_in_the_middle_of_a_statement_ends_the_beat(
    beats: Callable[[], WatchbillScheduler], sent: list[str], redis: redis_client.Redis
) -> None:
    """Celery closes the scheduler in the signal's handler, while the main thread holds its connection."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's connection has no lock to hold")
    beat = beats()
    beat.tick()
    begun = time.monotonic()
    with connection.connection.lock:
        beat.close()
    assert time.monotonic() - begun < 2
    assert EngineLease.objects.get(name="beat").expires_at <= database_now(), "it was given back"


def test_a_tick_sleeps_no_longer_than_until_the_next_fire(
    beats: Callable[[], WatchbillScheduler],
    sent: list[str],
    redis: redis_client.Redis,
    make_schedule: Callable[..., Schedule],
) -> None:
    beat = beats()
    assert beat.tick() == pytest.approx(0.5), "nothing is due for long"
    make_schedule("soon", "@yearly", next_run_at=database_now() + timedelta(seconds=0.3))
    assert 0 < beat.tick() <= 0.3


def test_what_can_not_be_planned_now_keeps_no_beat_busy(
    beats: Callable[[], WatchbillScheduler],
    sent: list[str],
    redis: redis_client.Redis,
    make_schedule: Callable[..., Schedule],
) -> None:
    schedule = make_schedule("closed", "@yearly", next_run_at=database_now() - timedelta(minutes=1))
    type(schedule.organisation).objects.update(is_active=False)
    assert beats().tick() == pytest.approx(0.5)


def test_cursors_are_looked_at_once_for_each_version_of_the_zones(
    beats: Callable[[], WatchbillScheduler], sent: list[str], redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schedules import beat as module

    looks: list[object] = []
    monkeypatch.setattr(module, "recompute_cursors", lambda now: looks.append(now) or 0)
    for _ in range(2):
        beat = beats()
        beat.tick()
        beat._leadership.resign()
    assert len(looks) == 1
