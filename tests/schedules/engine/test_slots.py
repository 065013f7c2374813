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
from schedules.engine import admission, candidates, lifecycle, slots
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.engine.rescue import Rescue
from schedules.engine.slots import Scope
from schedules.models import Run, Schedule

Make = Callable[..., Schedule]
Sent = list[tuple[int, int, str]]

SCOPES = [Scope(name="organisation:1", limit=2), Scope(name="schedule:7", limit=1)]


def holder(number: int) -> slots.Holder:
    return slots.Holder(key=str(number), attempt=1, scopes=SCOPES)


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
    assert slots.acquire(holder(1)) is None
    full = slots.acquire(holder(2))
    assert full is not None
    assert full.name == "schedule:7"
    assert slots.held() == {"organisation:1": {"1:1"}, "schedule:7": {"1:1"}}


def test_many_are_asked_in_one_call_and_answered_in_their_order(redis: redis_client.Redis) -> None:
    roomy = [Scope(name="organisation:1", limit=2), Scope(name="schedule:8", limit=5)]
    asked = [
        holder(1),
        holder(2),
        slots.Holder(key="3", attempt=1, scopes=roomy),
        slots.Holder(key="4", attempt=1, scopes=roomy),
    ]
    before = redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    answers = slots.acquire_each(asked)
    assert [full and full.name for full in answers] == [None, "schedule:7", None, "organisation:1"]
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


def test_taking_again_is_harmless() -> None:
    for _ in range(3):
        assert slots.acquire(holder(1)) is None
    slots.release(holder(1))
    slots.release(holder(1))
    assert slots.held() == {}


def test_an_emptied_redis_fails_closed(redis: redis_client.Redis) -> None:
    redis.flushall()
    with pytest.raises(slots.SlotsNotReady):
        slots.acquire(holder(1))


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
                assert slots.acquire(holder(1)) is None
                server.process.kill()
                server.process.wait()
            else:
                assert redis_client.Redis.from_url(server.url).exists(slots.EPOCH_KEY), "its data came back"
                with pytest.raises(slots.SlotsNotReady):
                    slots.acquire(holder(1))
                assert slots.rebuild()
                assert slots.acquire(holder(1)) is None


def test_a_release_that_comes_late_frees_no_slot_of_the_next_attempt(make_schedule: Make, published: Sent) -> None:
    (run,) = make_runs(make_schedule(), 1)
    admission.admit_waiting(database_now())
    Run.objects.filter(pk=run.pk).update(attempt=2)
    run.refresh_from_db()
    second = slots.holder_of(run)
    slots.acquire(second)
    slots.release(dataclasses.replace(second, attempt=1))
    assert slots.held()[f"organisation:{run.organisation_id}"] == {f"{run.job_run_id}:2"}


def test_a_closed_organisation_starts_nothing(organisation: Organisation, make_schedule: Make, published: Sent) -> None:
    make_runs(make_schedule(), 1)
    Organisation.objects.filter(pk=organisation.pk).update(is_active=False)
    assert admission.admit_waiting(database_now()) == 0
    Organisation.objects.filter(pk=organisation.pk).update(is_active=True)
    assert admission.admit_waiting(database_now()) == 1


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
    waiting = [make_runs(make_schedule(name, priority=number), 1)[0] for name, number in (("low", 1), ("high", 9))]
    low, high = (candidates.candidate(run.pk) for run in waiting)
    assert low
    assert high
    now = database_now()
    assert high.urgency(now) > low.urgency(now)
    low = low._replace(next_attempt_at=now - timedelta(minutes=30))
    assert low.urgency(now) > high.urgency(now)


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
    slots.drop([(f"schedule:{run.schedule_id}", slots.holder_of(run).member)])
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


def test_one_process_looks_for_waiters_and_once_more_when_it_was_asked_to() -> None:
    """A slot that is released while somebody looks must not wait for the beat, and nobody looks twice for nothing."""

    def released(number: int) -> bool:
        slots.acquire(holder(number))
        return slots.release_and_ask(holder(number), queue="scans", enough=4)

    assert released(1)
    assert not released(2), "the first one looks already"
    assert slots.looked(queue="scans", enough=4), "once more: a slot was released meanwhile"
    assert not slots.looked(queue="scans", enough=4)
    assert released(3), "the right to look was given back"


def test_nobody_looks_once_more_when_the_queue_has_enough_by_then(redis: redis_client.Redis) -> None:
    for number in (1, 2):
        slots.acquire(holder(number))
        slots.release_and_ask(holder(number), queue="scans", enough=4)
    redis.lpush("scans", *["message"] * 4)
    assert not slots.looked(queue="scans", enough=4), "who takes of it looks"
    redis.delete("scans")
    slots.acquire(holder(3))
    assert slots.release_and_ask(holder(3), queue="scans", enough=4), "the right to look was given back"


def test_a_look_into_one_queue_does_not_stop_one_into_another() -> None:
    for queue in ("scans", "backups"):
        slots.acquire(holder(1))
        assert slots.release_and_ask(holder(1), queue=queue, enough=4)


def test_nobody_looks_for_waiters_while_the_queue_has_enough(redis: redis_client.Redis) -> None:
    redis.lpush("scans", *["message"] * 4)
    slots.acquire(holder(1))
    assert not slots.release_and_ask(holder(1), queue="scans", enough=4)
    assert slots.held() == {}
