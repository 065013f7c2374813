"""Who is looked at: what can't start hides nobody who can, and one that waits is found however many wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client

from fleet.models import Agent, Organisation
from schedules.engine import admission, candidates, slots
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.models import Run, Schedule, WorkerProcess

Make = Callable[..., Schedule]
MANY = 300


@pytest.fixture(autouse=True)
def ready(redis: redis_client.Redis, organisation: Organisation) -> None:
    Organisation.objects.update(max_concurrent_runs=1000)
    slots.rebuild()


def wait(schedule: Schedule, count: int = 1, *, minutes: float = 0, **values: Any) -> list[Run]:
    """So many of its runs wait, since so many minutes."""
    runs = []
    for number in range(count):
        run = new_run(schedule, database_now() - timedelta(minutes=minutes))
        run.job_run_id, run.trigger = f"c{schedule.pk}-{Run.objects.count()}-{number}", Run.Trigger.MANUAL
        for name, value in values.items():
            setattr(run, name, value)
        runs.append(run)
    return Run.objects.bulk_create(runs)


def is_admitted(run: Run) -> bool:
    run.refresh_from_db()
    return bool(run.admission_token)


def test_a_flood_of_a_full_queue_hides_no_other_queue(make_schedule: Make, published: Any) -> None:
    now = database_now()
    WorkerProcess.objects.create(name="w", queues=["scans"], slots=1, started_at=now, seen_at=now)
    wait(make_schedule("flood", max_concurrent_runs=1000), MANY, minutes=20, priority=9)
    (other,) = wait(make_schedule("other"), queue="containers")
    admission.admit_waiting()
    assert is_admitted(other)
    assert Run.objects.admitted().filter(queue="scans").count() == admission.ADMITTED_PER_SLOT


def test_many_organisations_that_wait_for_a_full_queue_hide_none(make_schedule: Make, published: Any) -> None:
    now = database_now()
    WorkerProcess.objects.create(name="w", queues=["scans"], slots=1, started_at=now, seen_at=now)
    for number in range(candidates.ORGANISATIONS + 10):
        organisation = Organisation.objects.create(slug=f"o{number}", name="O")
        wait(make_schedule("flood", organisation=organisation), minutes=20)
    (other,) = wait(make_schedule("other"), queue="containers")
    for _ in range(3):
        admission.admit_waiting()
    assert is_admitted(other)


def test_a_recovery_is_seen_however_many_exclusives_are_older(
    make_schedule: Make, organisation: Organisation, published: Any
) -> None:
    agents = [
        Agent.objects.create(organisation=organisation, slug=f"a{number}", runtime="directory") for number in range(40)
    ]
    for number, agent in enumerate(agents):
        wait(make_schedule(f"held{number}", agent=agent), hold="shared", status="running", claim_token="x")
        wait(make_schedule(f"alone{number}", agent=agent), hold="exclusive", minutes=20)
    (recovery,) = wait(make_schedule("recovery", agent=agents[-1]), hold="recovery")
    seen = candidates.outlook(database_now())
    found = candidates.candidates(seen, next(candidates.turns(seen)), room=1)
    assert recovery.pk in {run.pk for run in found}


def test_a_flood_of_a_full_schedule_hides_no_other(make_schedule: Make, published: Any) -> None:
    flood = make_schedule("flood", max_concurrent_runs=2)
    wait(flood, MANY, minutes=20, priority=9)
    (other,) = wait(make_schedule("other", priority=0))
    admission.admit_waiting()
    assert is_admitted(other)
    assert Run.objects.admitted().filter(schedule=flood).count() == 2


def test_a_flood_of_a_full_agent_hides_no_other(
    make_schedule: Make, organisation: Organisation, published: Any
) -> None:
    agent = Agent.objects.create(organisation=organisation, slug="a", runtime="directory", max_concurrent_runs=2)
    for number in range(30):
        wait(make_schedule(f"flood{number}", agent=agent), 10, minutes=20, priority=9)
    (other,) = wait(make_schedule("other", priority=0))
    admission.admit_waiting()
    assert is_admitted(other)
    assert Run.objects.admitted().filter(agent=agent).count() == 2


def test_the_organisation_with_the_fewest_slots_goes_first(make_schedule: Make, published: Any) -> None:
    """Also when more organisations wait than there is room for: none starves because of its number."""
    now = database_now()
    WorkerProcess.objects.create(name="w", queues=["scans"], slots=2, started_at=now, seen_at=now)
    others = [Organisation.objects.create(slug=f"o{number}", name="O") for number in range(12)]
    runs = [wait(make_schedule("job", organisation=each, max_concurrent_runs=50), 3, minutes=1) for each in others]
    assert admission.admit_waiting() == 8
    first = {run.organisation_id for run in Run.objects.admitted()}
    assert len(first) == 8, "one each"
    Run.objects.admitted().update(status="running", claim_token="x", admission_token="", next_attempt_at=None)
    assert admission.admit_waiting() == 8
    second = {run.organisation_id for run in Run.objects.admitted()}
    assert {each.pk for each in others} - first <= second, "those that had none"
    assert runs


def test_what_is_not_due_or_of_a_closed_organisation_is_no_lane(make_schedule: Make, published: Any) -> None:
    wait(make_schedule("later"), minutes=-10)
    assert candidates.outlook(database_now()).lanes == []
    wait(make_schedule("now"))
    assert len(candidates.outlook(database_now()).lanes) == 1
    Organisation.objects.update(is_active=False)
    assert candidates.outlook(database_now()).lanes == []


def test_it_says_what_is_held_and_out(make_schedule: Make, organisation: Organisation, published: Any) -> None:
    schedule = make_schedule("job", max_concurrent_runs=50)
    wait(schedule, 5)
    admission.admit_waiting()
    one = Run.objects.admitted().first()
    assert one
    Run.objects.filter(pk=one.pk).update(status="running", claim_token="x", admission_token="")
    held = {run.pk for run in candidates.all_held()}
    assert held == set(Run.objects.values_list("pk", flat=True))
    wait(schedule)
    seen = candidates.outlook(database_now())
    assert (seen.held[organisation.pk], seen.out["scans"]) == (5, 4)
