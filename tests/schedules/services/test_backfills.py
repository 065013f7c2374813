"""Backfill: what it would do, what it does, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from fleet.errors import Conflict, InvalidInput
from schedules.engine import admission, lifecycle, slots
from schedules.engine.claims import Claim
from schedules.engine.lifecycle import Outcome
from schedules.engine.planning import plan_due
from schedules.executors.base import Result
from schedules.models import Backfill, Run, Schedule
from schedules.services.backfills import backfill_cancel, backfill_plan, backfill_start
from schedules.services.ledger import ledger_audit
from tests.schedules.engine.conftest import ACTOR, at
from tests.schedules.engine.time_travel import Clock

Make = Callable[..., Schedule]
START, NOW = at("2026-03-01 00:00:00"), at("2026-03-02 12:00:00")


@pytest.fixture
def hourly(make_schedule: Make, clock: Clock) -> Schedule:
    schedule = make_schedule("hourly", "0 * * * *", next_run_at=START, max_concurrent_runs=1)
    plan_due(clock.is_at(NOW))
    schedule.refresh_from_db()
    return schedule


def hours(plan: object) -> list[int]:
    return [fire.hour for fire in plan.fires]  # type: ignore[attr-defined]


def test_a_dry_run_changes_nothing(hourly: Schedule) -> None:
    before = Run.objects.count()
    plan = backfill_plan(schedule=hourly, begin=START, end=START + timedelta(hours=3))
    assert hours(plan) == [0, 1, 2, 3], "both ends are included"
    assert Run.objects.count() == before


def test_a_dry_run_refuses_what_the_backfill_itself_would_refuse(hourly: Schedule) -> None:
    with pytest.raises(InvalidInput, match="which is to come") as refused:
        backfill_plan(schedule=hourly, begin=START, end=NOW + timedelta(seconds=1))
    assert refused.value.field == "to"


def test_fires_that_ran_are_left_out(hourly: Schedule) -> None:
    plan = backfill_plan(schedule=hourly, begin=NOW - timedelta(hours=2), end=NOW)
    assert (hours(plan), plan.has_run) == ([10, 11], 1), "12:00 is queued"
    run = Run.objects.get()
    lifecycle.run_cancel(run, cause="x", actor="x", now=NOW)
    assert hours(backfill_plan(schedule=hourly, begin=NOW - timedelta(hours=2), end=NOW)) == [10, 11, 12]
    assert hours(backfill_plan(schedule=hourly, begin=NOW - timedelta(hours=2), end=NOW, only="missing")) == [10, 11]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [("queue_all", [0, 1, 2, 3]), ("skip", [0]), ("queue_one", [0, 1]), ("cancel_running", [3])],
)
def test_overlap_among_its_own_runs(hourly: Schedule, overlap: str, expected: list[int]) -> None:
    plan = backfill_plan(schedule=hourly, begin=START, end=START + timedelta(hours=3), overlap=overlap)
    assert hours(plan) == expected
    assert plan.overlapped == 4 - len(expected)


def test_it_has_its_own_limit_beside_the_schedule_s(hourly: Schedule, redis: object, published: object) -> None:
    slots.rebuild()
    backfill = backfill_start(
        schedule=hourly, begin=START, end=START + timedelta(hours=5), actor=ACTOR, max_concurrent_runs=3
    )
    assert backfill.planned == 6
    admission.admit_waiting(NOW)
    admitted = Run.objects.admitted()
    assert admitted.filter(trigger="backfill").count() == 3
    assert admitted.filter(trigger="schedule").count() == 1, "the scheduled run goes on beside them"


def test_a_fire_stays_covered_once_in_the_ledger(hourly: Schedule) -> None:
    backfill_start(schedule=hourly, begin=START, end=START + timedelta(hours=5), actor=ACTOR)
    audit = ledger_audit(hourly, after=START - timedelta(days=1), through=NOW)
    assert audit.is_clean
    assert audit.expected == 37


def test_asking_twice_makes_up_only_what_is_open(hourly: Schedule) -> None:
    span = {"begin": START, "end": START + timedelta(hours=5)}
    backfill_start(schedule=hourly, actor=ACTOR, **span)
    with pytest.raises(Conflict, match="no fire to make up"):
        backfill_start(schedule=hourly, actor=ACTOR, **span)
    with pytest.raises(Conflict, match="no fire to make up"):
        backfill_start(schedule=hourly, actor=ACTOR, only="all", **span)
    for run in Run.objects.filter(trigger="backfill"):
        run.admission_token = lifecycle.runs_admit([run], now=NOW)[run.pk]
        held = lifecycle.run_claim(Claim(run=run.pk, attempt=1, token=run.admission_token), worker="w", now=NOW)
        assert held is not None
        lifecycle.run_finish(held, Outcome(status="success", result=Result(summary="")), now=NOW)
    assert backfill_start(schedule=hourly, actor=ACTOR, only="all", **span).planned == 6


def test_cancelling_it_cancels_what_is_not_over(hourly: Schedule, redis: object) -> None:
    backfill = backfill_start(schedule=hourly, begin=START, end=START + timedelta(hours=5), actor=ACTOR)
    assert backfill_cancel(backfill=backfill, actor=ACTOR) == 6
    assert Run.objects.filter(trigger="schedule").active().exists(), "the scheduled run is not its own"


@pytest.mark.parametrize(
    ("asked", "field", "text"),
    [
        ({"begin": NOW, "end": START}, "to", "Exchange the two"),
        ({"begin": START, "end": NOW + timedelta(hours=1)}, "to", "which is to come"),
        ({"begin": START, "end": NOW, "overlap": "never"}, "overlap", "queue_all"),
        ({"begin": START, "end": NOW, "only": "some"}, "only", "unsuccessful"),
        ({"begin": START, "end": NOW, "max_concurrent_runs": 0}, "concurrency", "1 to 1000"),
    ],
)
def test_refusals_name_the_field_and_the_way_out(
    hourly: Schedule, asked: dict[str, object], field: str, text: str
) -> None:
    with pytest.raises(InvalidInput, match=text) as refusal:
        backfill_start(schedule=hourly, actor=ACTOR, **asked)  # type: ignore[arg-type]
    assert refusal.value.field == field
    assert not Backfill.objects.exists()


def test_too_many_fires_are_refused_with_a_range_that_fits(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(NOW)
    secondly = make_schedule("secondly", "* * * * * *")
    with pytest.raises(InvalidInput, match=r"86401 fires.*to 2026-03-01T02:46:39Z"):
        backfill_plan(schedule=secondly, begin=START, end=START + timedelta(days=1))
