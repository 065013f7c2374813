"""Why a job ran or did not: each reason is told, with the way out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from fleet.models import Agent
from schedules.engine import admission, lifecycle, slots
from schedules.engine.claims import Claim
from schedules.engine.lifecycle import Outcome
from schedules.engine.newruns import new_run
from schedules.engine.planning import plan_due
from schedules.executors.base import Result
from schedules.models import BlackoutCalendar, EngineLease, Run, Schedule
from schedules.services.backfills import backfill_start
from schedules.services.schedules import schedule_disable, schedule_enable, schedule_update
from schedules.services.why import Answer, why
from tests.schedules.engine.conftest import ACTOR, at
from tests.schedules.engine.time_travel import Clock

Make = Callable[..., Schedule]
START = at("2026-03-01 00:00:00")
HOUR = timedelta(hours=1)


@pytest.fixture
def hourly(make_schedule: Make, clock: Clock) -> Schedule:
    clock.is_at(START)
    return make_schedule("hourly", "0 * * * *", timezone="Asia/Shanghai", next_run_at=START + HOUR)


def ask(schedule: Schedule, at_: object = None, *, now: object = START) -> Answer:
    schedule.refresh_from_db()
    return why(schedule, at=at_, now=now)  # type: ignore[arg-type]


def said(answer: Answer) -> str:
    return " ".join([answer.headline, *answer.details])


def finish(run: Run, status: str = "success") -> None:
    now = run.next_attempt_at
    assert now is not None
    run.admission_token = lifecycle.runs_admit([run], now=now)[run.pk]
    held = lifecycle.run_claim(Claim(run=run.pk, attempt=1, token=run.admission_token), worker="w", now=now)
    assert held is not None
    result = Result(summary="3 files") if status == "success" else None
    lifecycle.run_finish(
        held, Outcome(status=status, result=result, error_message="" if result else "No room."), now=now
    )  # type: ignore[arg-type]


def test_a_fire_that_ran(hourly: Schedule) -> None:
    plan_due(START + HOUR)
    finish(Run.objects.get())
    answer = ask(hourly, START + HOUR)
    assert answer.reason == "ran"
    assert "2026-03-01 09:00:00 Asia/Shanghai" in answer.headline
    assert "success" in answer.headline
    assert "3 files" in said(answer)
    assert answer.run == Run.objects.get()


def test_a_fire_that_failed_says_why(hourly: Schedule) -> None:
    plan_due(START + HOUR)
    finish(Run.objects.get(), "failed")
    assert "No room." in said(ask(hourly, START + HOUR))


def test_no_fire_was_expected(hourly: Schedule) -> None:
    plan_due(START + HOUR)
    answer = ask(hourly, START + 1.5 * HOUR, now=START + 1.5 * HOUR)
    assert answer.reason == "not_expected"
    assert "No fire of hourly was expected at 2026-03-01 09:30:00" in answer.headline
    assert "The next one: 2026-03-01 10:00:00" in said(answer)


def test_before_the_job_was_there(hourly: Schedule) -> None:
    Schedule.objects.update(created_at=START)
    assert "was created at 2026-03-01 08:00:00" in said(ask(hourly, START - 9.5 * HOUR))


def test_a_misfire_names_the_policy_and_the_way_out(hourly: Schedule) -> None:
    plan_due(START + 5.5 * HOUR)
    answer = ask(hourly, START + 2 * HOUR, now=START + 6 * HOUR)
    assert answer.reason == "misfire"
    assert "missed while the watch was down" in answer.headline
    assert "So were 5 fires in a row" in said(answer)
    assert "job backfill hourly" in said(answer)


def test_a_backfill_is_told_beside_the_misfire(hourly: Schedule, clock: Clock) -> None:
    plan_due(clock.is_at(START + 5.5 * HOUR))
    backfill_start(schedule=hourly, begin=START + 2 * HOUR, end=START + 2 * HOUR, actor=ACTOR)
    assert "A backfill took it up: b" in said(ask(hourly, START + 2 * HOUR))


def test_an_overlap_names_the_run_that_was_active(hourly: Schedule) -> None:
    plan_due(START + HOUR)
    plan_due(START + 2 * HOUR)
    answer = ask(hourly, START + 2 * HOUR)
    assert answer.reason == "overlap"
    assert f"Active then: {Run.objects.get().job_run_id}" in said(answer)


def test_a_pause_gives_its_reason_then_and_now(hourly: Schedule, clock: Clock) -> None:
    schedule_disable(schedule=hourly, actor=ACTOR, reason="storage moves")
    answer = ask(hourly, now=START + 3 * HOUR)
    assert answer.headline == "hourly is paused: storage moves."
    assert "3 fires not run" in said(answer)
    assert "job enable hourly" in said(answer)
    clock.is_at(START + 3.5 * HOUR)
    schedule_enable(schedule=hourly, actor=ACTOR)
    then = ask(hourly, START + 2 * HOUR)
    assert (then.reason, "storage moves" in said(then)) == ("paused", True)


def test_a_blackout_names_its_window_before_and_after(hourly: Schedule) -> None:
    BlackoutCalendar.objects.create(
        organisation=hourly.organisation, name="night", windows="00:30-02:30", timezone="UTC", for_all=True
    )
    coming = ask(hourly, START + HOUR)
    assert coming.reason == "to_come"
    assert "It will be skipped: inside the blackout '00:30-02:30'" in said(coming)
    plan_due(START + HOUR)
    answer = ask(hourly, START + HOUR)
    assert (answer.reason, "00:30-02:30" in said(answer)) == ("blackout", True)


def test_the_end_and_the_limit_say_how_to_go_on(hourly: Schedule, clock: Clock) -> None:
    clock.is_at(START + 2.5 * HOUR)
    schedule_update(schedule=hourly, actor=ACTOR, ends_at=START + 2.2 * HOUR)
    answer = ask(hourly, now=START + 3 * HOUR)
    assert (answer.reason, "job edit hourly --until" in said(answer)) == ("ended", True)
    schedule_update(schedule=hourly, actor=ACTOR, ends_at=None, max_runs=1)
    plan_due(START + 3 * HOUR)
    answer = ask(hourly, START + 9 * HOUR)
    assert (answer.reason, "job edit hourly --max-runs" in said(answer)) == ("limit", True)


def test_a_fire_that_beat_did_not_plan_yet(hourly: Schedule) -> None:
    answer = ask(hourly, now=START + 1.5 * HOUR)
    assert (answer.reason, "manage.py status" in said(answer)) == ("late", True)


def test_an_edit_keeps_the_answers_of_the_past(hourly: Schedule, clock: Clock) -> None:
    plan_due(START + HOUR)
    clock.is_at(START + 1.5 * HOUR)
    schedule_update(schedule=hourly, actor=ACTOR, expression="15 4 * * *")
    assert ask(hourly, START + HOUR).reason == "ran"
    assert ask(hourly, START + 2 * HOUR).reason == "not_expected"


def test_a_waiting_run_names_who_holds_its_slots(
    make_schedule: Make, hourly: Schedule, redis: object, published: object
) -> None:
    slots.rebuild()
    agent = Agent.objects.create(organisation=hourly.organisation, slug="a", runtime="directory", max_concurrent_runs=1)
    busy = new_run(make_schedule("busy", agent=agent), START)
    busy.job_run_id, busy.trigger = "busy-run", "manual"
    lifecycle.runs_insert([busy], cause="test")
    Schedule.objects.filter(pk=hourly.pk).update(agent=agent)
    admission.admit_waiting(START)
    plan_due(START + HOUR)
    answer = ask(hourly, START + HOUR)
    assert "The limit of its agent (1) is taken by busy-run." in said(answer)


def test_by_hand_only_and_damaged(make_schedule: Make, hourly: Schedule) -> None:
    manual = make_schedule("manual", run_after=hourly)
    assert "fires only by hand" in said(ask(manual))
    assert "It runs after hourly, when it succeeded" in said(ask(manual))
    Schedule.objects.filter(pk=hourly.pk).update(expression="nonsense")
    assert ask(hourly, now=START).reason in {"damaged", "to_come"}


def test_a_beat_that_is_down_is_told_with_the_next_fire(hourly: Schedule) -> None:
    assert "No beat is up now" in said(ask(hourly))
    EngineLease.objects.update_or_create(
        name="beat", defaults={"expires_at": START + HOUR, "renewed_at": START, "holder": "me"}
    )
    assert "No beat is up now" not in said(ask(hourly))


def test_what_was_planned_late_says_so(hourly: Schedule) -> None:
    Schedule.objects.update(misfire="run_all", catchup_seconds=86400)
    plan_due(START + 2.5 * HOUR)
    assert "planned 1 h 30 min late" in said(ask(hourly, START + HOUR, now=START + 3 * HOUR))
    assert "planned" in said(ask(hourly, START + 2 * HOUR, now=START + 3 * HOUR)), "also when it overlapped then"


def test_what_is_to_come_and_will_not_run(hourly: Schedule, clock: Clock) -> None:
    schedule_disable(schedule=hourly, actor=ACTOR, reason="storage moves")
    answer = ask(hourly, START + 9 * HOUR, now=START + HOUR)
    assert "will not run: the schedule was paused" in answer.headline
    assert "in a row" not in said(answer)
