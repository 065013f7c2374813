"""Planning: each fire once, whoever plans, however often, whatever was edited meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from schedules import timing
from schedules.engine import planning
from schedules.engine.planning import plan_due
from schedules.models import Run, Schedule, SkipSpan
from schedules.services.schedules import schedule_disable, schedule_enable, schedule_update
from tests.schedules.engine.conftest import ACTOR, at
from tests.schedules.engine.time_travel import Clock

Make = Callable[..., Schedule]

START = at("2026-02-25 00:00:00")


@pytest.fixture
def hourly(make_schedule: Make) -> Schedule:
    return make_schedule("hourly", "0 * * * *", next_run_at=at("2026-02-25 01:00:00"))


def fires(schedule: Schedule) -> list[str]:
    rows = Run.objects.filter(schedule=schedule).order_by("fire_at")
    return [f"{run.fire_at:%H:%M:%S}" for run in rows]


def spans(schedule: Schedule) -> list[tuple[str, int]]:
    rows = SkipSpan.objects.filter(schedule=schedule).order_by("first_fire_at")
    return [(span.reason, span.count) for span in rows]


def test_nothing_is_planned_before_its_time(hourly: Schedule) -> None:
    assert plan_due(at("2026-02-25 00:59:59")).considered == 0


def test_a_fire_becomes_a_run_and_the_cursor_moves(hourly: Schedule) -> None:
    now = at("2026-02-25 01:00:00")
    (run,) = plan_due(now).runs
    hourly.refresh_from_db()
    assert run.job_run_id == f"s{hourly.pk}-20260225T010000Z"
    assert (run.fire_at, run.trigger, run.status) == (now, "schedule", "queued")
    assert hourly.next_run_at == at("2026-02-25 02:00:00")
    assert hourly.last_run_at == now


def test_planning_twice_is_harmless(hourly: Schedule) -> None:
    now = at("2026-02-25 01:00:00")
    plan_due(now)
    assert plan_due(now).runs == []
    # A beat that stood still with an old cursor, or a database that was put back an hour.
    back = at("2026-02-25 01:00:00")
    before = back - timedelta(microseconds=1)
    Schedule.objects.filter(pk=hourly.pk).update(next_run_at=back, planned_through=before, overlap="queue_all")
    assert plan_due(now).runs == []
    assert fires(hourly) == ["01:00:00"]


def test_two_beats_that_computed_the_same_plan(hourly: Schedule) -> None:
    from schedules.engine import planning

    now = at("2026-02-25 01:00:00")
    due = list(Schedule.objects.due(now))
    plans = planning._plans(due, now)
    assert len(planning._commit(plans, now)) == 1
    assert planning._commit(plans, now) == []


def test_an_edit_between_computing_and_writing_wins(hourly: Schedule, clock: Clock) -> None:
    from schedules.engine import planning

    now = at("2026-02-25 01:00:00")
    (plan,) = planning._plans([Schedule.objects.get(pk=hourly.pk)], now)
    clock.is_at(at("2026-02-25 00:59:59"))
    schedule_update(schedule=hourly, actor=ACTOR, expression="30 3 * * *")
    cursor = Schedule.objects.get(pk=hourly.pk).next_run_at
    assert planning._commit([plan], now) == []
    assert Schedule.objects.get(pk=hourly.pk).next_run_at == cursor


@pytest.mark.parametrize(
    ("misfire", "expected"), [("run_latest", ["05:00:00"]), ("skip", []), ("run_all", ["04:00:00", "05:00:00"])]
)
def test_misfires_inside_the_catch_up_window(hourly: Schedule, misfire: str, expected: list[str]) -> None:
    Schedule.objects.filter(pk=hourly.pk).update(misfire=misfire, catchup_seconds=7200, overlap="queue_all")
    plan_due(at("2026-02-25 05:30:00"))
    assert fires(hourly) == expected
    assert sum(count for _, count in spans(hourly)) == 5 - len(expected)


def test_a_fire_older_than_the_window_is_never_made_up(hourly: Schedule) -> None:
    plan_due(at("2026-02-25 05:30:00"))
    assert fires(hourly) == []
    assert spans(hourly) == [("misfire", 5)]


def test_a_short_outage_runs_the_fire_it_missed(hourly: Schedule) -> None:
    plan_due(at("2026-02-25 01:10:00"))
    assert fires(hourly) == ["01:00:00"]


def test_a_week_off_is_one_row_however_many_fires(make_schedule: Make) -> None:
    minutely = make_schedule("minutely", "* * * * *", next_run_at=START)
    now = START + timedelta(days=7, seconds=1)
    while Schedule.objects.due(now).exists():
        plan_due(now)
    assert Run.objects.get(schedule=minutely).fire_at == now - timedelta(seconds=1)
    covered = sum(count for _, count in spans(minutely)) + len(fires(minutely))
    assert covered == 7 * 24 * 60 + 1
    assert spans(minutely) == [("misfire", 7 * 24 * 60)]


def test_fires_while_it_was_off_are_paused_not_missed(hourly: Schedule, clock: Clock) -> None:
    clock.is_at(at("2026-02-25 00:30:00"))
    schedule_disable(schedule=hourly, actor=ACTOR, reason="holiday")
    assert plan_due(at("2026-02-25 03:10:00")).runs == []
    clock.is_at(at("2026-02-25 03:10:00"))
    schedule_enable(schedule=hourly, actor=ACTOR)
    plan_due(at("2026-02-25 04:00:00"))
    assert fires(hourly) == ["04:00:00"]
    assert spans(hourly) == [("paused", 3)]


def test_overlap_skip_and_queue(make_schedule: Make) -> None:
    plans = {}
    for policy in ("skip", "queue_one", "queue_all"):
        plans[policy] = make_schedule(policy, "*/10 * * * * *", overlap=policy, next_run_at=START)
    for seconds in (0, 10, 20):
        plan_due(START + timedelta(seconds=seconds))
    assert [len(fires(plans[policy])) for policy in ("skip", "queue_one", "queue_all")] == [1, 2, 3]
    assert spans(plans["skip"]) == [("overlap", 2)]


def test_overlap_cancel_running_cancels_what_waits(make_schedule: Make) -> None:
    schedule = make_schedule("replaced", "*/10 * * * * *", overlap="cancel_running", next_run_at=START)
    plan_due(START)
    plan_due(START + timedelta(seconds=10))
    assert list(Run.objects.filter(schedule=schedule).order_by("fire_at").values_list("status", flat=True)) == [
        "cancelled",
        "queued",
    ]


def test_manual_runs_do_not_count_for_overlap(hourly: Schedule) -> None:
    from schedules.services.runs import run_now

    run_now(schedule=hourly, actor=ACTOR)
    plan_due(at("2026-02-25 01:00:00"))
    assert Run.objects.filter(schedule=hourly, trigger="schedule").count() == 1


def test_a_row_that_was_damaged_outside_does_not_stop_the_others(hourly: Schedule, make_schedule: Make) -> None:
    broken = make_schedule("broken", "0 * * * *")
    Schedule.objects.filter(pk=broken.pk).update(
        expression="nonsense", next_run_at=START, planned_through=START - timedelta(seconds=1)
    )
    plan_due(at("2026-02-25 01:00:00"))
    assert fires(hourly) == ["01:00:00"]
    assert not Run.objects.filter(schedule=broken).exists()


def test_once_fires_once(make_schedule: Make) -> None:
    once = make_schedule("once", "@at 2027-02-25T02:00:00Z")
    plan_due(at("2027-02-25 02:00:00"))
    once.refresh_from_db()
    assert once.next_run_at is None
    assert Run.objects.filter(schedule=once).count() == 1


def test_an_interval_counts_from_its_anchor_whenever_beat_looks(make_schedule: Make) -> None:
    every = make_schedule(
        "every",
        "@every 90s",
        overlap="queue_all",
        anchor_at=START,
        next_run_at=START + timedelta(seconds=90),
    )
    for late in (91, 200, 275):
        plan_due(START + timedelta(seconds=late))
    assert fires(every) == ["00:01:30", "00:03:00", "00:04:30"]


@pytest.mark.parametrize("missed", [999, 1000, 1001, 2000])
def test_the_latest_missed_fire_runs_wherever_a_step_ends(make_schedule: Make, missed: int) -> None:
    make_schedule("minutely", "* * * * *", next_run_at=START)
    now = START + timedelta(minutes=missed - 1, seconds=45)
    while Schedule.objects.due(now).exists():
        plan_due(now)
    assert Run.objects.count() == 1
    assert Run.objects.get().fire_at == START + timedelta(minutes=missed - 1)


def test_a_replaced_waiting_run_frees_its_slots_at_once(make_schedule: Make, redis: object, published: object) -> None:
    from schedules.engine import admission, slots

    slots.rebuild()
    make_schedule("replaced", "*/10 * * * * *", overlap="cancel_running", next_run_at=START)
    plan_due(START)
    admission.admit_waiting(START + timedelta(seconds=1))
    assert slots.held()
    plan_due(START + timedelta(seconds=10))
    assert slots.held() == {}


def test_schedules_that_catch_up_leave_the_others_their_turn(make_schedule: Make) -> None:
    late = make_schedule("late", "* * * * *", next_run_at=START)
    now = START + timedelta(days=3)
    fresh = make_schedule("fresh", "* * * * *", next_run_at=now)
    plan_due(now, limit=1, latest_first=True)
    assert Run.objects.filter(schedule=fresh).exists()
    assert not Run.objects.filter(schedule=late).exists()


def test_a_batch_that_makes_up_many_fires_ends_early(make_schedule: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick has a budget and the beat a lease to keep: the rest is planned in the next batch."""
    monkeypatch.setattr(planning, "FIRES_PER_BATCH", 10)
    for number in range(3):
        values = {"overlap": "queue_all", "misfire": "run_all", "next_run_at": START}
        make_schedule(f"secondly-{number}", "* * * * * *", **values)
    now = START + timedelta(seconds=9)
    first = plan_due(now)
    assert (first.more, len(first.runs)) == (True, 10)
    plan_due(now)
    plan_due(now)
    assert (plan_due(now).more, Run.objects.count()) == (False, 30)


def test_a_rare_fire_looks_only_at_the_blackouts_about_it(make_schedule: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A calendar of 500 daily windows has 180,000 a year."""
    looked: list[timedelta] = []
    real = timing.segments

    def segments(calendars: object, after: datetime, through: datetime) -> object:
        looked.append(through - after)
        return real(calendars, after, through)  # type: ignore[arg-type]

    monkeypatch.setattr(timing, "segments", segments)
    yearly = make_schedule("yearly", "@yearly", next_run_at=at("2027-01-01 00:00:00"), catchup_seconds=31 * 86400)
    Schedule.objects.filter(pk=yearly.pk).update(planned_through=at("2026-01-01 00:00:01"))
    plan_due(at("2027-01-01 00:00:01"))
    assert len(fires(yearly)) == 1
    assert looked
    assert max(looked) < timedelta(minutes=1)
