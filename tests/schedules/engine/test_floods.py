"""One organisation's flood is its own: the others start as if it were not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client

from fleet.models import Organisation
from schedules.engine import admission, execution, lifecycle, slots
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.models import Run, Schedule

Make = Callable[..., Schedule]
FLOOD = 10_000


@pytest.fixture(autouse=True)
def ready(redis: redis_client.Redis, transactional_db: None) -> None:
    slots.rebuild()


@pytest.fixture
def flooded(make_schedule: Make) -> Organisation:
    """An organisation with a limit of 4 and 10,000 waiting runs, urgent ones, of one schedule and of many."""
    organisation = Organisation.objects.create(slug="flood", name="Flood", max_concurrent_runs=4)
    many = [make_schedule(f"flood-{number}", organisation=organisation, priority=9) for number in range(20)]
    Schedule.objects.filter(pk__in=[each.pk for each in many]).update(max_concurrent_runs=1000)
    now = database_now() - timedelta(minutes=10)
    insert([(many[number % len(many) if number % 2 else 0], 9) for number in range(FLOOD)], now)
    return organisation


def insert(wanted: list[tuple[Schedule, int]], moment: Any) -> list[Run]:
    runs = []
    for number, (schedule, priority) in enumerate(wanted):
        run = new_run(schedule, moment)
        run.job_run_id, run.trigger, run.priority = f"f{schedule.pk}-{number}", Run.Trigger.MANUAL, priority
        runs.append(run)
    return Run.objects.bulk_create(runs, batch_size=1000)


def admitted(organisation: Organisation) -> int:
    return Run.objects.admitted().filter(organisation=organisation).count()


def test_another_organisations_run_is_admitted_in_the_first_pass(
    flooded: Organisation, organisation: Organisation, make_schedule: Make, published: list[Any]
) -> None:
    (run,) = insert([(make_schedule("quiet", priority=0), 0)], database_now())
    begun = time.monotonic()
    admission.admit_waiting(database_now())
    took = time.monotonic() - begun
    run.refresh_from_db()
    assert run.admission_token, "in the first pass, although it is the youngest and the least urgent"
    assert admitted(flooded) == 4
    assert took < 2, f"a pass over the flood took {took:.2f} s"


def test_the_flood_fills_its_own_limit_and_no_more(
    flooded: Organisation, organisation: Organisation, make_schedule: Make, published: list[Any]
) -> None:
    for _ in range(5):
        admission.admit_waiting(database_now())
        assert admitted(flooded) == 4
    later = insert([(make_schedule(f"late-{number}"), 5) for number in range(3)], database_now())
    admission.admit_waiting(database_now())
    assert Run.objects.admitted().filter(pk__in=[run.pk for run in later]).count() == 3


def test_each_end_lets_the_own_next_in(flooded: Organisation, organisation: Organisation, published: list[Any]) -> None:
    admission.admit_waiting(database_now())
    for _ in range(8):
        run_id, attempt, token = published.pop(0)
        execution.execute(Claim(run=run_id, attempt=attempt, token=token))
        admission.admit_waiting(database_now())
        assert admitted(flooded) <= 4
    assert Run.objects.filter(organisation=flooded, status="success").count() == 8


def test_many_floods_share_what_the_workers_can_do(
    organisation: Organisation, make_schedule: Make, published: list[Any]
) -> None:
    """With room for 32 messages, four organisations get eight each, whoever has waited longest."""
    now, others = database_now(), []
    for number in range(4):
        other = Organisation.objects.create(slug=f"o{number}", name=f"O {number}", max_concurrent_runs=1000)
        job = make_schedule("job", organisation=other)
        Schedule.objects.filter(pk=job.pk).update(max_concurrent_runs=1000)
        insert([(Schedule.objects.get(pk=job.pk), 5)] * 300, now - timedelta(minutes=40 - 10 * number))
        others.append(other)
    admission.admit_waiting(database_now())
    counts = [admitted(other) for other in others]
    assert sum(counts) == 32
    assert max(counts) - min(counts) <= 1, counts


def test_inside_an_organisation_the_urgent_goes_first_and_the_patient_is_not_forgotten(
    organisation: Organisation, make_schedule: Make, published: list[Any]
) -> None:
    Organisation.objects.filter(pk=organisation.pk).update(max_concurrent_runs=2)
    now, job = database_now(), make_schedule("job")
    Schedule.objects.filter(pk=job.pk).update(max_concurrent_runs=1000)
    job.refresh_from_db()
    low = insert([(job, 1)] * 200, now)
    (urgent,) = insert([(make_schedule("urgent"), 9)], now)
    (patient,) = insert([(make_schedule("patient"), 0)], now - timedelta(minutes=20))
    admission.admit_waiting(now)
    winners = set(Run.objects.admitted().values_list("pk", flat=True))
    assert winners == {urgent.pk, patient.pk}, "twenty minutes of waiting count for twenty"
    assert not winners & {run.pk for run in low}


def test_who_comes_second_leaves_the_slot_to_who_may_still_commit(
    make_schedule: Make, published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two admissions of one run: the second one can't see the token that the first is about to commit."""
    run, real = insert([(make_schedule("once"), 5)], database_now())[0], lifecycle.runs_admit
    monkeypatch.setattr(lifecycle, "runs_admit", lambda *_, **__: {})
    admission.admit_waiting(database_now())
    assert [members for members in slots.held().values() if f"{run.job_run_id}:1" in members]
    monkeypatch.setattr(lifecycle, "runs_admit", real)
    admission.admit_waiting(database_now())
    assert len(published) == 1
