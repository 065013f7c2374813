"""Holding an agent alone: younger runs are barred, a recovery makes its way, nobody waits for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import redis as redis_client

from fleet.models import Agent, Organisation
from schedules.engine import admission, lifecycle, slots
from schedules.engine.claims import Claim
from schedules.engine.lifecycle import Outcome
from schedules.engine.newruns import new_run
from schedules.engine.rescue import Rescue
from schedules.executors.base import Result
from schedules.models import Run, Schedule
from tests.schedules.engine.conftest import at

Make = Callable[..., Schedule]
NOW = at("2026-02-25 12:00:00")
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def ready(redis: redis_client.Redis, organisation: Organisation, published: object) -> None:
    slots.rebuild()


@pytest.fixture
def agent(organisation: Organisation) -> Agent:
    return Agent.objects.create(
        organisation=organisation, slug="night", runtime="directory", container_name="night", max_concurrent_runs=2
    )


@pytest.fixture
def ask(make_schedule: Make, agent: Agent) -> Callable[..., Run]:
    """``ask("test.alone", since=NOW)``: a run of the agent that waits since then."""
    jobs: dict[str, Schedule] = {}

    def make(executor: str = "test.trace", *, since: datetime = NOW, **values: object) -> Run:
        name = executor.replace(".", "-")
        if name not in jobs:
            jobs[name] = make_schedule(name, executor=executor, agent=agent, max_concurrent_runs=100)
        run = new_run(jobs[name], since)
        run.job_run_id, run.trigger = f"m{Run.objects.count()}", Run.Trigger.MANUAL
        for field, value in values.items():
            setattr(run, field, value)
        return lifecycle.runs_insert([run], cause="test")[0]

    return make


def admitted(now: datetime = NOW) -> list[str]:
    admission.admit_waiting(now)
    return sorted(Run.objects.admitted().values_list("job_run_id", flat=True))


def claimed(run: Run, now: datetime = NOW) -> Run:
    run.refresh_from_db()
    held = lifecycle.run_claim(Claim(run=run.pk, attempt=run.attempt, token=run.admission_token), worker="w", now=now)
    assert held is not None
    return held


def end(run: Run, now: datetime = NOW) -> None:
    done = lifecycle.run_finish(run, Outcome(status="success", result=Result(summary="")), now=now)
    assert done is not None
    slots.release(slots.holder_of(run))


def status_of(run: Run) -> str:
    return Run.objects.get(pk=run.pk).status


def test_an_exclusive_waits_until_the_agent_is_free_and_then_holds_it_alone(ask: Callable[..., Run]) -> None:
    shared = ask()
    admission.admit_waiting(NOW)
    working = claimed(shared)
    alone = ask("test.alone", since=NOW + SECOND)
    assert admitted(NOW + SECOND) == []
    end(working)
    assert admitted(NOW + SECOND) == [alone.job_run_id]
    later = ask(since=NOW + 2 * SECOND)
    assert admitted(NOW + 3 * SECOND) == [alone.job_run_id]
    end(claimed(alone))
    assert admitted(NOW + 4 * SECOND) == [later.job_run_id]


def test_a_waiting_exclusive_bars_younger_runs_of_its_agent_only(
    ask: Callable[..., Run], make_schedule: Make, organisation: Organisation
) -> None:
    working = ask()
    admission.admit_waiting(NOW)
    claimed(working)
    ask("test.alone", since=NOW + SECOND)
    ask(since=NOW + 2 * SECOND, priority=9)
    other = make_schedule("elsewhere")
    elsewhere = new_run(other, NOW + 2 * SECOND)
    elsewhere.job_run_id, elsewhere.trigger = "elsewhere", Run.Trigger.MANUAL
    lifecycle.runs_insert([elsewhere], cause="test")
    assert admitted(NOW + 3 * SECOND) == ["elsewhere"], "although the agent has a second slot"


def test_an_older_run_goes_before_the_exclusive(ask: Callable[..., Run]) -> None:
    first, second = ask(since=NOW), ask(since=NOW + SECOND)
    ask("test.alone", since=NOW + 2 * SECOND)
    assert admitted(NOW + 3 * SECOND) == [first.job_run_id, second.job_run_id]


def test_a_run_by_hand_is_barred_as_well(ask: Callable[..., Run]) -> None:
    working = ask()
    admission.admit_waiting(NOW)
    claimed(working)
    ask("test.alone", since=NOW + SECOND)
    by_hand = ask(since=NOW + 2 * SECOND)
    assert not admission.admit_run(by_hand.pk, NOW + 2 * SECOND)


def test_what_has_to_be_reaped_is_not_barred_by_the_exclusive_that_waits_for_it(ask: Callable[..., Run]) -> None:
    run = ask()
    admission.admit_waiting(NOW)
    working = claimed(run)
    Run.objects.filter(pk=run.pk).update(handle={"trace": "x"})
    ask("test.alone", since=NOW - timedelta(hours=1))
    ask("test.recover", since=NOW - timedelta(hours=1))
    lifecycle.run_lose(working, cause="gone", now=NOW)
    assert admitted(NOW + SECOND) == [run.job_run_id]


def test_a_lost_run_that_fills_its_own_limit_is_reaped_whoever_is_more_urgent(ask: Callable[..., Run]) -> None:
    lost = ask()
    Schedule.objects.update(max_concurrent_runs=1)
    admission.admit_waiting(NOW)
    working = claimed(lost)
    Run.objects.filter(pk=lost.pk).update(handle={"trace": "x"})
    ask(since=NOW - timedelta(hours=5), priority=9)
    lifecycle.run_lose(working, cause="gone", now=NOW)
    assert admitted(NOW + SECOND) == [lost.job_run_id]


def test_a_recovery_passes_the_limits_of_organisation_and_schedule(
    ask: Callable[..., Run], organisation: Organisation, make_schedule: Make
) -> None:
    Organisation.objects.update(max_concurrent_runs=1)
    elsewhere = new_run(make_schedule("elsewhere"), NOW)
    elsewhere.job_run_id, elsewhere.trigger = "elsewhere", Run.Trigger.MANUAL
    lifecycle.runs_insert([elsewhere], cause="test")
    assert admitted() == ["elsewhere"]
    Schedule.objects.filter(executor="test.recover").update(max_concurrent_runs=1)
    recovery = ask("test.recover", since=NOW + SECOND)
    assert admitted(NOW + SECOND) == ["elsewhere", recovery.job_run_id]
    assert len(slots.held()[f"organisation:{organisation.pk}"]) == 2, "it counts for the others"


def test_a_recovery_cancels_those_that_hold_its_agent_after_its_grace(ask: Callable[..., Run]) -> None:
    working, unclaimed = ask(), ask()
    admission.admit_waiting(NOW)
    claimed(working)
    recovery = ask("test.recover", since=NOW + SECOND, grace_seconds=60)
    admitted(NOW + 60 * SECOND)
    assert Run.objects.get(pk=working.pk).cancel_requested_at is None, "its grace lasts a second longer"
    admitted(NOW + 61 * SECOND)
    assert Run.objects.get(pk=working.pk).cancel_requested_at is not None
    assert not Run.objects.get(pk=unclaimed.pk).admission_token, "what was not started waits again"
    assert status_of(unclaimed) == "queued"
    stopped = Run.objects.with_limits().get(pk=working.pk)
    lifecycle.run_finish(stopped, Outcome(status="cancelled"), now=NOW + 62 * SECOND)
    slots.release(slots.holder_of(stopped))
    assert admitted(NOW + 62 * SECOND) == [recovery.job_run_id], "before the one that waits for longer"


def test_an_automatic_roll_back_has_no_grace(ask: Callable[..., Run]) -> None:
    working = ask()
    admission.admit_waiting(NOW)
    claimed(working)
    ask("test.recover", since=NOW, grace_seconds=0)
    admitted(NOW)
    assert Run.objects.get(pk=working.pk).cancel_requested_at is not None


def test_two_recoveries_do_not_cancel_each_other(ask: Callable[..., Run]) -> None:
    first = ask("test.recover", since=NOW, grace_seconds=0)
    admitted(NOW)
    claimed(first)
    second = ask("test.recover", since=NOW + SECOND, grace_seconds=0)
    assert admitted(NOW + 10 * SECOND) == []
    assert Run.objects.get(pk=first.pk).cancel_requested_at is None
    end(Run.objects.with_limits().get(pk=first.pk))
    assert admitted(NOW + 11 * SECOND) == [second.job_run_id]


def test_a_young_recovery_is_seen_behind_a_flood(ask: Callable[..., Run], make_schedule: Make) -> None:
    flood = make_schedule("flood", max_concurrent_runs=1, priority=9)
    runs = []
    for number in range(200):
        run = new_run(flood, NOW - timedelta(hours=1))
        run.job_run_id, run.trigger = f"flood-{number}", Run.Trigger.MANUAL
        runs.append(run)
    lifecycle.runs_insert(runs, cause="test")
    recovery = ask("test.recover", since=NOW)
    assert recovery.job_run_id in admitted(NOW)


def test_a_hold_survives_a_flushed_redis(ask: Callable[..., Run], redis: redis_client.Redis) -> None:
    alone = ask("test.alone")
    admission.admit_waiting(NOW)
    claimed(alone)
    before = slots.held()
    redis.flushall()
    younger = ask(since=NOW + SECOND)
    assert admitted(NOW + SECOND) == []
    assert slots.held() == before
    rescue = Rescue()
    slots.drop([(f"alone:{alone.agent_id}", f"{alone.job_run_id}:1")])
    assert rescue.slots() == 1
    assert slots.held() == before
    assert status_of(younger) == "queued"


@pytest.mark.parametrize("seed", range(4))
def test_an_exclusive_is_alone_and_everything_runs_in_the_end(ask: Callable[..., Run], agent: Agent, seed: int) -> None:
    dice = random.Random(seed)
    now = NOW
    asked = 0
    for _ in range(120):
        now += SECOND
        if asked < 25 and dice.random() < 0.5:
            ask(dice.choice(["test.trace", "test.trace", "test.alone", "test.recover"]), since=now, grace_seconds=3)
            asked += 1
        admission.admit_waiting(now)
        _hold_is_kept(agent)
        _one_step(dice, now)
        if dice.random() < 0.05:
            slots.client().flushall()
    for _ in range(1000):
        if not Run.objects.active().exists():
            break
        now += SECOND
        admission.admit_waiting(now)
        _hold_is_kept(agent)
        _one_step(dice, now)
    assert not Run.objects.active().exists()
    assert slots.held() == {}


def _hold_is_kept(agent: Agent) -> None:
    holders = list(Run.objects.holding_slots().filter(agent=agent))
    assert len(holders) <= agent.max_concurrent_runs
    assert len(holders) == 1 or all(run.hold == Run.Hold.SHARED for run in holders)


def _one_step(dice: random.Random, now: datetime) -> None:
    """A worker claims, ends or gives way; now and then it is lost."""
    for run in Run.objects.admitted().with_limits():
        if dice.random() < 0.7:
            claimed(run, now)
    for run in Run.objects.filter(status=Run.Status.RUNNING).with_limits():
        if run.cancel_requested_at or dice.random() < 0.3:
            done = lifecycle.run_finish(run, Outcome(status="success", result=Result(summary="")), now=now)
            if done:
                slots.release(slots.holder_of(run))
        elif dice.random() < 0.1:
            Run.objects.filter(pk=run.pk).update(handle={"trace": "x"})
            lifecycle.run_lose(run, cause="lost", now=now)
