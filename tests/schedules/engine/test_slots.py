"""Semaphores on a real Redis: all or none, idempotent, closed until the database has written them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client

from fleet.models import Organisation
from schedules.engine import admission, lifecycle, slots
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.engine.rescue import Rescue
from schedules.engine.slots import Scope
from schedules.models import Run, Schedule

Make = Callable[..., Schedule]
Sent = list[tuple[int, int, str]]

SCOPES = [Scope(name="organisation:1", limit=2), Scope(name="schedule:7", limit=1)]


@pytest.fixture(autouse=True)
def ready(redis: redis_client.Redis, organisation: Organisation) -> None:
    slots.rebuild()


def make_runs(schedule: Schedule, count: int) -> list[Run]:
    now = database_now()
    runs = []
    for number in range(count):
        run = new_run(schedule, now)
        run.job_run_id, run.trigger = f"{schedule.name}-{number}", Run.Trigger.MANUAL
        runs.append(run)
    return lifecycle.runs_insert(runs, cause="test")


def test_all_scopes_or_none() -> None:
    assert slots.acquire(1, 1, SCOPES) is None
    full = slots.acquire(2, 1, SCOPES)
    assert full is not None
    assert full.name == "schedule:7"
    assert slots.held() == {"organisation:1": {"1:1"}, "schedule:7": {"1:1"}}


def test_taking_again_is_harmless() -> None:
    for _ in range(3):
        assert slots.acquire(1, 1, SCOPES) is None
    slots.release(1, 1, SCOPES)
    slots.release(1, 1, SCOPES)
    assert slots.held() == {}


def test_an_emptied_redis_fails_closed(redis: redis_client.Redis) -> None:
    redis.flushall()
    with pytest.raises(slots.SlotsNotReady):
        slots.acquire(1, 1, SCOPES)


@pytest.mark.parametrize("binary", ["of the machine", "of the wheel"])
def test_a_restarted_redis_fails_closed_although_its_data_came_back(
    binary: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.servers import running_redis

    if binary == "of the wheel":
        monkeypatch.setenv("PATH", str(tmp_path))  # nothing there: the bundled Redis 6.2 is what remains
    for start in (1, 2):
        with running_redis(tmp_path, "--appendfsync", "always") as server:
            settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, redis_url=server.url)
            if start == 1:
                slots.rebuild()
                assert slots.acquire(1, 1, SCOPES) is None
                server.process.kill()
                server.process.wait()
            else:
                assert redis_client.Redis.from_url(server.url).exists(slots.EPOCH_KEY), "its data came back"
                with pytest.raises(slots.SlotsNotReady):
                    slots.acquire(1, 1, SCOPES)
                assert slots.rebuild()
                assert slots.acquire(1, 1, SCOPES) is None


def test_a_release_that_comes_late_frees_no_slot_of_the_next_attempt(make_schedule: Make, published: Sent) -> None:
    (run,) = make_runs(make_schedule(), 1)
    admission.admit_waiting(database_now())
    Run.objects.filter(pk=run.pk).update(attempt=2)
    run.refresh_from_db()
    slots.acquire(run.pk, 2, [Scope(name="organisation:1", limit=5)])
    slots.release(run.pk, 1, slots.scopes_of(run))
    assert slots.held()["organisation:1"] == {f"{run.pk}:2"}


def test_a_closed_organisation_starts_nothing(organisation: Organisation, make_schedule: Make, published: Sent) -> None:
    make_runs(make_schedule(), 1)
    Organisation.objects.filter(pk=organisation.pk).update(is_active=False)
    assert admission.admit_waiting(database_now()) == []
    Organisation.objects.filter(pk=organisation.pk).update(is_active=True)
    assert len(admission.admit_waiting(database_now())) == 1


def test_a_rebuild_writes_what_the_database_holds(
    redis: redis_client.Redis, make_schedule: Make, published: Sent
) -> None:
    runs = make_runs(make_schedule(max_concurrent_runs=5), 3)
    admission.admit_waiting(database_now())
    before = slots.held()
    assert {len(ids) for ids in before.values()} == {3}
    redis.flushall()
    assert slots.rebuild()
    assert slots.held() == before
    assert not slots.rebuild(), "once is enough"
    assert len(runs) == len(published) == 3


def test_the_limits_of_organisation_and_schedule(
    organisation: Organisation, make_schedule: Make, published: Sent
) -> None:
    Organisation.objects.filter(pk=organisation.pk).update(max_concurrent_runs=3)
    make_runs(make_schedule("one", max_concurrent_runs=1), 5)
    make_runs(make_schedule("many", max_concurrent_runs=100), 5)
    admission.admit_waiting(database_now())
    admitted = Run.objects.admitted().values_list("schedule_name", flat=True)
    assert sorted(admitted) == ["many", "many", "one"]
    assert len(published) == 3


def test_organisations_take_turns(make_schedule: Make, published: Sent) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    make_runs(make_schedule("flood", max_concurrent_runs=100), 40)
    (small,) = make_runs(make_schedule("small", organisation=other), 1)
    admission.admit_waiting(database_now())
    assert small.pk in [run_id for run_id, _, _ in published[:2]]


def test_priority_goes_first_and_waiting_counts(make_schedule: Make, published: Sent) -> None:
    (low,) = make_runs(make_schedule("low", priority=1), 1)
    (high,) = make_runs(make_schedule("high", priority=9), 1)
    now = database_now()
    assert admission.urgency(high, now) > admission.urgency(low, now)
    low.next_attempt_at = now - timedelta(minutes=30)
    assert admission.urgency(low, now) > admission.urgency(high, now)


def test_the_broker_never_holds_a_backlog(organisation: Organisation, make_schedule: Make, published: Sent) -> None:
    from django.conf import settings

    Organisation.objects.filter(pk=organisation.pk).update(max_concurrent_runs=500)
    for number in range(10):
        make_runs(make_schedule(f"many-{number}", max_concurrent_runs=100), 10)
    for _ in range(20):
        admission.admit_waiting(database_now())
    assert Run.objects.admitted().count() == 4 * settings.WATCHBILL.worker_slots


def test_the_sweep_frees_slots_nobody_holds_and_adds_those_that_are_missing(
    make_schedule: Make, published: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schedules.engine import rescue

    (run,) = make_runs(make_schedule(), 1)
    admission.admit_waiting(database_now())
    rightful = slots.held()
    slots.put([("organisation:999", "12345:1")])
    slots.drop([(f"schedule:{run.schedule_id}", slots.member_of(run))])
    sweep = Rescue()
    sweep.slots()
    assert slots.held() == rightful | {"organisation:999": {"12345:1"}}, "it may be an admission between its two steps"
    monkeypatch.setattr(rescue, "ORPHAN_SECONDS", 0.0)
    sweep.slots()
    assert slots.held() == rightful


def test_an_unknown_executor_fails_its_run_with_the_reason(make_schedule: Make, published: Sent) -> None:
    schedule = make_schedule()
    Schedule.objects.filter(pk=schedule.pk).update(executor="gone.away")
    schedule.refresh_from_db()
    (run,) = make_runs(schedule, 1)
    admission.admit_waiting(database_now())
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "executor_unknown")
    assert published == []
