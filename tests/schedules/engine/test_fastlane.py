"""The fast lane writes what planning and admission write; what is not plain it leaves to them. PostgreSQL only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client
from django.db import connection
from django.forms.models import model_to_dict

from fleet.models import Agent, Organisation
from schedules.engine import admission, fastlane, publishing, slots
from schedules.engine.planning import plan_due
from schedules.models import BlackoutCalendar, Run, RunEvent, Schedule, WorkerProcess
from schedules.services.schedules import schedule_update
from tests.schedules.engine.conftest import ACTOR, at
from tests.schedules.engine.time_travel import Clock

Make = Callable[..., Schedule]
NOW = at("2026-02-25 02:00:00")
ITS_OWN = {"id", "job_run_id", "schedule", "schedule_name", "admission_token", "name", "display_name", "run"}


@pytest.fixture(autouse=True)
def ready(redis: redis_client.Redis, organisation: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    slots.rebuild()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[publishing.Message]:
    messages: list[publishing.Message] = []
    monkeypatch.setattr(publishing, "send", messages.extend)
    return messages


pytestmark = pytest.mark.skipif("connection.vendor != 'postgresql'")


def values(row: Any) -> dict[str, Any]:
    return {name: value for name, value in model_to_dict(row).items() if name not in ITS_OWN} | {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if not field.editable and field.name not in {*ITS_OWN, "updated_at", "created_at"}
    }


def test_its_rows_are_those_of_planning_and_admission(
    make_schedule: Make, organisation: Organisation, sent: Any
) -> None:
    agent = Agent.objects.create(organisation=organisation, slug="a", runtime="directory", max_concurrent_runs=5)
    more = {"agent": agent, "priority": 7, "retry_delays": [5, 6], "timeout_seconds": 77, "max_retries": 3}
    fast = make_schedule("fast", "0 2 * * *", next_run_at=NOW, anchor_at=NOW, **more)
    assert fastlane.plan_fast(NOW) == 1
    slow = make_schedule("slow", "0 2 * * *", next_run_at=NOW, anchor_at=NOW, **more)
    plan_due(NOW)
    admission.admit_waiting(NOW)
    theirs, ours = Run.objects.get(schedule=slow), Run.objects.get(schedule=fast)
    assert values(ours) == values(theirs)
    assert ours.job_run_id == theirs.job_run_id.replace(f"s{slow.pk}-", f"s{fast.pk}-")
    assert len(ours.admission_token) == len(theirs.admission_token) == 32
    events = [[values(event) for event in run.events.order_by("id")] for run in (ours, theirs)]
    assert events[0] == events[1]
    fast.refresh_from_db()
    slow.refresh_from_db()
    assert values(fast) == values(slow)
    held = slots.held()
    assert held[f"agent:{agent.pk}"] == {f"{ours.job_run_id}:1", f"{theirs.job_run_id}:1"}
    assert [(message.run, message.token) for message in sent] == [
        (ours.pk, ours.admission_token),
        (theirs.pk, theirs.admission_token),
    ]


def test_what_has_no_slot_waits(make_schedule: Make, organisation: Organisation, sent: Any) -> None:
    Organisation.objects.update(max_concurrent_runs=2)
    for number in range(4):
        make_schedule(f"job{number}", "0 2 * * *", next_run_at=NOW, priority=number)
    assert fastlane.plan_fast(NOW) == 4
    admitted = Run.objects.admitted().values_list("schedule_name", flat=True)
    assert sorted(admitted) == ["job2", "job3"], "the urgent ones first"
    assert Run.objects.filter(status="queued", admission_token="").count() == 2
    assert len(sent) == 2
    assert RunEvent.objects.filter(kind="planned").count() == 4


def test_it_overtakes_nobody_who_waits(make_schedule: Make, sent: Any) -> None:
    make_schedule("late", "50 1 * * *", next_run_at=NOW - timedelta(minutes=10))
    plan_due(NOW - timedelta(minutes=9))
    make_schedule("new", "0 2 * * *", next_run_at=NOW)
    assert fastlane.plan_fast(NOW) == 1
    assert not Run.objects.admitted().exists(), "the organisation has a run that waits for longer"


def test_an_edit_in_between_wins_and_the_slot_is_given_back(
    make_schedule: Make, sent: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = make_schedule("edited", "0 2 * * *", next_run_at=NOW)
    take = fastlane._take_slots

    def edit_meanwhile(fires: Any, now: Any) -> Any:
        taken = take(fires, now)
        clock.is_at(NOW - timedelta(seconds=1))
        schedule_update(schedule=edited, actor=ACTOR, expression="0 5 * * *")
        return taken

    monkeypatch.setattr(fastlane, "_take_slots", edit_meanwhile)
    fastlane.plan_fast(NOW)
    assert not Run.objects.exists()
    assert (slots.held(), sent) == ({}, [])


def test_planning_twice_is_harmless(make_schedule: Make, sent: Any) -> None:
    schedule = make_schedule("job", "0 2 * * *", next_run_at=NOW)
    fastlane.plan_fast(NOW)
    before = slots.held()
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=NOW, planned_through=NOW - timedelta(seconds=1))
    Schedule.objects.filter(pk=schedule.pk).update(overlap="queue_all", max_concurrent_runs=5)
    fastlane.plan_fast(NOW)
    assert Run.objects.count() == 1
    assert slots.held() == before, "the slot of the run that was there first stays"
    assert len(sent) == 1


def test_redis_away_leaves_the_runs_waiting(make_schedule: Make, redis_down: object, sent: Any) -> None:
    make_schedule("job", "0 2 * * *", next_run_at=NOW)
    assert fastlane.plan_fast(NOW) == 1
    assert Run.objects.get().admission_token == ""


def test_the_room_of_a_queue_is_kept(make_schedule: Make, sent: Any) -> None:
    WorkerProcess.objects.create(name="w", queues=["scans"], slots=1, started_at=NOW, seen_at=NOW)
    for number in range(6):
        make_schedule(f"job{number}", "0 2 * * *", next_run_at=NOW)
    fastlane.plan_fast(NOW)
    assert Run.objects.admitted().count() == 4


@pytest.mark.parametrize(
    "values",
    [
        {"jitter_seconds": 5},
        {"max_runs": 5},
        {"start_within_seconds": 5},
        {"starts_at": NOW - timedelta(days=1)},
        {"ends_at": NOW + timedelta(days=1)},
        {"overlap": "cancel_running"},
        {"expression": "* * * * * *"},
    ],
    ids=str,
)
def test_what_is_not_plain_is_left_to_planning(make_schedule: Make, values: dict[str, Any], sent: Any) -> None:
    expression = values.pop("expression", "0 2 * * *")
    make_schedule("job", expression, next_run_at=NOW, **values)
    assert fastlane.plan_fast(NOW + timedelta(seconds=5)) == 0
    assert plan_due(NOW + timedelta(seconds=5)).considered == 1


def test_blackouts_and_late_fires_are_left_to_planning(
    make_schedule: Make, organisation: Organisation, sent: Any
) -> None:
    make_schedule("late", "0 2 * * *", next_run_at=NOW - timedelta(minutes=5))
    assert fastlane.plan_fast(NOW) == 0
    dark = make_schedule("dark", "0 2 * * *", next_run_at=NOW)
    calendar = BlackoutCalendar.objects.create(organisation=organisation, name="c", windows="sat", timezone="UTC")
    calendar.schedules.add(dark)
    assert fastlane.plan_fast(NOW) == 0
    calendar.schedules.clear()
    BlackoutCalendar.objects.update(for_all=True)
    assert fastlane.plan_fast(NOW) == 0
    assert connection.vendor == "postgresql"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fastlane, "BATCH", 4)
    monkeypatch.setattr(fastlane, "BATCHES", 3)
    yield
    fastlane._second_connection().submit(lambda: connection.close()).result()  # noqa: PLW0108 - that thread's


@pytest.mark.usefixtures("small_batches")
def test_batches_that_overlap_share_limits_and_turns(
    make_schedule: Make, organisation: Organisation, sent: Any
) -> None:
    """While one batch is written the next is worked out: it must not take what the first will have taken."""
    Organisation.objects.update(max_concurrent_runs=5)
    for number in range(10):
        make_schedule(f"job{number}", "0 2 * * *", next_run_at=NOW)
    assert fastlane.plan_fast(NOW) == 10
    assert Run.objects.count() == 10
    assert Run.objects.admitted().count() == len(sent) == len(slots.held()[f"organisation:{organisation.pk}"]) == 5
    assert RunEvent.objects.filter(kind="planned").count() == 10
    assert fastlane.plan_fast(NOW) == 0


@pytest.mark.usefixtures("small_batches")
def test_no_batch_admits_more_than_the_queue_has_room_for(make_schedule: Make, sent: Any) -> None:
    WorkerProcess.objects.create(name="w", queues=["scans"], slots=1, started_at=NOW, seen_at=NOW)
    for number in range(10):
        make_schedule(f"job{number}", "0 2 * * *", next_run_at=NOW)
    assert fastlane.plan_fast(NOW) == 10
    assert len(sent) == admission.ADMITTED_PER_SLOT
