"""The ledger: every expected fire is covered exactly once, whatever happened to the schedule and to the beat."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from schedules.engine import lifecycle
from schedules.engine.planning import plan_due, recompute_cursors
from schedules.models import BlackoutCalendar, Run, Schedule, ScheduleRevision, SkipSpan
from schedules.services.ledger import entry_of, ledger_audit, ledger_entries
from schedules.services.schedules import schedule_disable, schedule_enable, schedule_update
from tests.schedules.engine.conftest import ACTOR, at
from tests.schedules.engine.time_travel import Clock

Make = Callable[..., Schedule]
START = at("2026-03-28 00:00:00")
EXPRESSIONS = ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * *", "@every 11m", "15 9-17 * * 1-5", "0 0 31 * *"]
ZONES = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]


def check(schedule: Schedule, through: datetime) -> int:
    """Every fire until then is covered once; returns how many there were."""
    schedule.refresh_from_db()
    audit = ledger_audit(schedule, after=START - timedelta(days=1), through=through)
    assert audit.is_clean, audit
    return audit.expected


def spans(schedule: Schedule) -> list[tuple[str, int | None]]:
    rows = SkipSpan.objects.filter(schedule=schedule).order_by("first_fire_at")
    return [(span.reason, span.count) for span in rows]


def fires(schedule: Schedule) -> list[datetime | None]:
    return list(Run.objects.filter(schedule=schedule).order_by("fire_at").values_list("fire_at", flat=True))


def end_all() -> None:
    for run in Run.objects.active():
        lifecycle.run_cancel(run, cause="over", actor="test", now=START)


@pytest.mark.parametrize("seed", range(12))
def test_no_hole_and_no_double_whatever_happens(make_schedule: Make, clock: Clock, seed: int) -> None:
    dice = random.Random(seed)
    now = clock.is_at(START)
    schedule = make_schedule(
        "job",
        dice.choice(EXPRESSIONS),
        timezone=dice.choice(ZONES),
        overlap=dice.choice(Schedule.Overlap.values),
        misfire=dice.choice(Schedule.Misfire.values),
        catchup_seconds=dice.choice([0, 900, 86400]),
        max_runs=dice.choice([None, None, 40]),
        jitter_seconds=dice.choice([0, 90]),
    )
    calendar = BlackoutCalendar.objects.create(
        organisation=schedule.organisation, name="nights", windows="", for_all=True, timezone=dice.choice(ZONES)
    )
    for _ in range(60):
        now = clock.is_at(now + dice.choice([1, 30, 60, 3600, 20000, 200000]) * timedelta(seconds=dice.random()))
        if dice.random() < 0.7:
            plan_due(now)
        _something_happens(dice, schedule, calendar, now)
    plan_all(now)
    assert check(schedule, now) == len(fires(schedule)) + sum(
        entry.count for entry in ledger_entries(schedule, after=START, through=now) if entry.span
    )


def plan_all(now: datetime) -> None:
    while plan_due(now).considered:
        pass


def _something_happens(dice: random.Random, schedule: Schedule, calendar: BlackoutCalendar, now: datetime) -> None:
    what = dice.randrange(9)
    if what == 0:
        schedule_disable(schedule=schedule, actor=ACTOR, reason="dice")
    elif what in (1, 2):
        schedule_enable(schedule=schedule, actor=ACTOR)
    elif what == 3:
        schedule_update(schedule=schedule, actor=ACTOR, expression=dice.choice(EXPRESSIONS))
    elif what == 4:
        schedule_update(schedule=schedule, actor=ACTOR, timezone=dice.choice(ZONES))
    elif what == 5:
        ends = dice.choice([None, now + timedelta(hours=1), now - timedelta(hours=1), now + timedelta(days=2)])
        schedule_update(schedule=schedule, actor=ACTOR, ends_at=ends, starts_at=None)
    elif what == 6:
        schedule_update(schedule=schedule, actor=ACTOR, max_runs=dice.choice([None, 5, 500]))
    elif what == 7:
        windows = dice.choice(["", "22:00-06:00", "sat,sun", "2026-03-29"])
        BlackoutCalendar.objects.filter(pk=calendar.pk).update(windows=windows)
    else:
        end_all()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", ["*/20 * * * *", "30 2 * * *", "@every 25m"])
def test_one_jump_or_many_ticks_leave_the_same_ledger(make_schedule: Make, expression: str, zone: str) -> None:
    def make(name: str) -> Schedule:
        return make_schedule(
            name,
            expression,
            timezone=zone,
            next_run_at=START,
            anchor_at=START,
            overlap="queue_all",
            misfire="run_all",
            catchup_seconds=30 * 86400,
        )

    jump = make("jump")
    now = START + timedelta(days=2)
    plan_all(now)
    ticks = make("ticks")
    moment = START
    dice = random.Random(zone + expression)
    while moment < now:
        moment = min(now, moment + timedelta(seconds=dice.randrange(1, 9000)))
        plan_due(moment)
    assert fires(ticks) == fires(jump)
    assert spans(ticks) == spans(jump) == []
    assert check(ticks, now) == check(jump, now) > 0


def test_skipped_fires_in_a_row_are_one_span_however_often_beat_looks(make_schedule: Make) -> None:
    schedule = make_schedule("long", "* * * * * *", next_run_at=START)
    for second in range(100):
        plan_due(START + timedelta(seconds=second))
    assert spans(schedule) == [("overlap", 99)]
    end_all()
    plan_due(START + timedelta(seconds=100))
    plan_due(START + timedelta(seconds=101))
    assert spans(schedule) == [("overlap", 99), ("overlap", 1)]
    check(schedule, START + timedelta(seconds=101))


class Crash(Exception):
    pass


@contextmanager
def crash_before_statement(number: int) -> Iterator[None]:
    """kill -9 as the database sees it: the connection's transaction is gone."""
    seen = 0

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Crash
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield


def state() -> tuple[Any, ...]:
    return (
        list(Run.objects.order_by("job_run_id").values_list("job_run_id", "status", "fire_at")),
        list(SkipSpan.objects.order_by("schedule", "first_fire_at").values_list("reason", "last_fire_at", "count")),
        list(Schedule.objects.order_by("name").values_list("next_run_at", "planned_through", "planned_runs")),
    )


def test_a_crash_between_any_two_statements_changes_nothing(make_schedule: Make) -> None:
    late = {"next_run_at": START, "overlap": "queue_all", "catchup_seconds": 3600}
    make_schedule("all", "*/10 * * * *", misfire="run_all", **late)
    make_schedule("latest", "*/10 * * * *", misfire="run_latest", max_runs=1, **late)
    now = START + timedelta(hours=5)
    before = state()
    number, crashed = 1, True
    while crashed:
        crashed = False
        try:
            with transaction.atomic(), crash_before_statement(number):
                plan_due(now)
                transaction.set_rollback(True)
        except Crash:
            crashed = True
        assert state() == before, f"crash before statement {number}"
        number += 1
    assert number > 10
    plan_due(now)
    once = state()
    plan_due(now)
    assert state() == once != before


def test_a_pause_of_a_week_is_one_row(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("secondly", "* * * * * *")
    schedule_disable(schedule=schedule, actor=ACTOR, reason="storage moves")
    assert spans(schedule) == [("paused", None)]
    now = clock.is_at(START + timedelta(days=7))
    schedule_enable(schedule=schedule, actor=ACTOR)
    assert spans(schedule) == [("paused", 7 * 86400)]
    assert SkipSpan.objects.get().detail == "storage moves"
    schedule.refresh_from_db()
    assert schedule.next_run_at == now + timedelta(seconds=1)


def test_a_pause_that_no_fire_met_leaves_nothing(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("daily", "0 2 * * *")
    schedule_disable(schedule=schedule, actor=ACTOR, reason="for a moment")
    clock.is_at(START + timedelta(minutes=1))
    schedule_enable(schedule=schedule, actor=ACTOR)
    assert spans(schedule) == []


def test_the_end_date_covers_all_that_would_follow(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("hourly", "0 * * * *", ends_at=START + timedelta(hours=2), overlap="queue_all")
    for hour in range(1, 6):
        plan_due(START + timedelta(hours=hour))
    assert [fire.hour for fire in fires(schedule) if fire] == [1, 2]
    assert spans(schedule) == [("ended", None)]
    entry = entry_of(schedule, START + timedelta(hours=4))
    assert entry is not None
    assert entry.reason == "ended"
    check(schedule, START + timedelta(hours=5))
    clock.is_at(START + timedelta(hours=5, minutes=30))
    schedule_update(schedule=schedule, actor=ACTOR, ends_at=None)
    assert spans(schedule) == [("ended", 3)]
    plan_due(START + timedelta(hours=6))
    assert check(schedule, START + timedelta(hours=6)) == 6


def test_a_start_date_expects_nothing_before_it(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("hourly", "0 * * * *", starts_at=START + timedelta(hours=3), overlap="queue_all")
    assert schedule.next_run_at == START + timedelta(hours=3)
    plan_due(START + timedelta(hours=2))
    assert spans(schedule) == []
    plan_due(START + timedelta(hours=3))
    assert check(schedule, START + timedelta(hours=3)) == 1


def test_the_maximum_of_runs_is_kept_in_a_catch_up_as_well(make_schedule: Make) -> None:
    schedule = make_schedule(
        "limited", "* * * * *", next_run_at=START, max_runs=3, misfire="run_all", overlap="queue_all"
    )
    plan_due(START + timedelta(minutes=10))
    assert len(fires(schedule)) == 3
    assert spans(schedule) == [("limit", None)]
    schedule.refresh_from_db()
    assert (schedule.next_run_at, schedule.planned_runs) == (None, 3)
    check(schedule, START + timedelta(minutes=10))


def test_a_blackout_is_told_apart_from_a_misfire(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("hourly", "0 * * * *", next_run_at=START, overlap="queue_all")
    calendar = BlackoutCalendar.objects.create(
        organisation=schedule.organisation, name="early", windows="02:00-04:00", timezone="UTC"
    )
    calendar.schedules.add(schedule)
    for hour in range(6):
        plan_due(START + timedelta(hours=hour))
    assert [fire.hour for fire in fires(schedule) if fire] == [0, 1, 4, 5]
    assert spans(schedule) == [("blackout", 2)]
    check(schedule, START + timedelta(hours=5))


def test_run_latest_after_a_blackout_takes_the_latest_fire_that_was_free(make_schedule: Make) -> None:
    schedule = make_schedule("minutely", "* * * * *", next_run_at=START, catchup_seconds=3600)
    BlackoutCalendar.objects.create(
        organisation=schedule.organisation, name="early", windows="00:20-00:50", timezone="UTC", for_all=True
    )
    plan_due(START + timedelta(minutes=45))
    assert fires(schedule) == [START + timedelta(minutes=19)]
    assert spans(schedule) == [("misfire", 19), ("blackout", 26)]
    check(schedule, START + timedelta(minutes=45))


def test_an_edit_while_beat_was_down_loses_nothing(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("hourly", "0 * * * *")
    clock.is_at(START + timedelta(hours=5, minutes=30))
    schedule_update(schedule=schedule, actor=ACTOR, expression="45 * * * *")
    assert spans(schedule) == [("misfire", 5)]
    plan_due(START + timedelta(hours=5, minutes=45))
    assert check(schedule, START + timedelta(hours=5, minutes=45)) == 6
    assert ScheduleRevision.objects.filter(schedule=schedule).count() == 2


def test_shanghai_to_utc_and_back_repeats_and_loses_nothing(make_schedule: Make, clock: Clock) -> None:
    """Seed 004's manual regression: zones exchanged, on the full hour, at a high rate, at the month's end."""
    clock.is_at(at("2026-03-31 17:59:59"))
    schedule = make_schedule("edge", "0 2 * * *", timezone="Asia/Shanghai", overlap="queue_all")
    assert schedule.next_run_at == at("2026-03-31 18:00:00")
    plan_due(clock.is_at(at("2026-03-31 18:00:00")))
    schedule_update(schedule=schedule, actor=ACTOR, timezone="UTC")
    schedule.refresh_from_db()
    assert schedule.next_run_at == at("2026-04-01 02:00:00")
    schedule_update(schedule=schedule, actor=ACTOR, timezone="Asia/Shanghai")
    schedule.refresh_from_db()
    assert schedule.next_run_at == at("2026-04-01 18:00:00"), "18:00 of today has run"
    schedule_update(schedule=schedule, actor=ACTOR, expression="*/2 * * * * *")
    for second in range(1, 30):
        now = clock.is_at(at("2026-03-31 18:00:00") + timedelta(seconds=second))
        plan_due(now)
        if second % 7 == 0:
            schedule_update(schedule=schedule, actor=ACTOR, timezone="UTC" if second % 2 else "Asia/Shanghai")
    assert check(schedule, now) == 1 + 14
    assert len(fires(schedule)) == 15


def test_a_clock_set_back_an_hour_floods_and_repeats_nothing(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("minutely", "* * * * *", overlap="queue_all")
    for minute in range(1, 91):
        plan_due(START + timedelta(minutes=minute))
    count = Run.objects.count()
    for minute in range(31, 91):
        now = clock.is_at(START + timedelta(minutes=minute))
        plan_due(now)
        if minute == 40:
            schedule_disable(schedule=schedule, actor=ACTOR)
            schedule_enable(schedule=schedule, actor=ACTOR)
            schedule_update(schedule=schedule, actor=ACTOR, timezone="Asia/Shanghai")
    assert Run.objects.count() == count
    plan_due(START + timedelta(minutes=91))
    assert Run.objects.count() == count + 1
    check(schedule, START + timedelta(minutes=91))


def test_new_zone_data_moves_the_future_only(
    make_schedule: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schedules import timing

    clock.is_at(START)
    schedule = make_schedule("daily", "0 2 * * *", timezone="Asia/Shanghai")
    wrong = schedule.next_run_at + timedelta(hours=1) if schedule.next_run_at else None
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=wrong, zone_data="2020a")
    assert recompute_cursors(START) == 1
    assert recompute_cursors(START) == 0
    schedule.refresh_from_db()
    assert schedule.next_run_at == at("2026-03-28 18:00:00")
    assert schedule.zone_data == timing.zone_data_version()


def test_a_fire_that_new_zone_data_moved_into_the_past_is_accounted_for(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("daily", "0 2 * * *")
    # The old data said four o'clock, the new ones say two.
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=START + timedelta(hours=4), zone_data="2020a")
    now = START + timedelta(hours=3)
    recompute_cursors(now)
    plan_all(now)
    assert check(schedule, now) == 1


def test_new_zone_data_overwrites_no_edit(make_schedule: Make, clock: Clock) -> None:
    from schedules.engine import planning

    clock.is_at(START)
    schedule = make_schedule("daily", "0 2 * * *", timezone="Asia/Shanghai")
    stale = Schedule.objects.get(pk=schedule.pk)
    schedule_update(schedule=schedule, actor=ACTOR, expression="0 5 * * *")
    edited = Schedule.objects.get(pk=schedule.pk).next_run_at
    planning._recompute(stale, "2027a")
    assert Schedule.objects.get(pk=schedule.pk).next_run_at == edited


def test_a_damaged_row_is_accounted_for_when_it_is_mended(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("broken", "0 * * * *")
    Schedule.objects.filter(pk=schedule.pk).update(expression="nonsense")
    plan_due(START + timedelta(hours=1))
    assert Run.objects.count() == 0
    clock.is_at(START + timedelta(hours=3))
    schedule_update(schedule=schedule, actor=ACTOR, expression="0 * * * *")
    assert spans(schedule) == [("damaged", 1)]
    schedule.refresh_from_db()
    assert schedule.next_run_at == START + timedelta(hours=4)


def test_a_row_that_is_mended_before_beat_looks_again_is_accounted_for(make_schedule: Make, clock: Clock) -> None:
    clock.is_at(START)
    schedule = make_schedule("broken", "0 * * * *")
    Schedule.objects.filter(pk=schedule.pk).update(expression="nonsense")
    plan_due(START + timedelta(hours=1))
    clock.is_at(START + timedelta(hours=1, minutes=2))
    schedule_update(schedule=schedule, actor=ACTOR, expression="0 * * * *")
    assert spans(schedule) == [("damaged", 1)]


def test_a_pause_while_the_cursor_is_put_off_loses_no_fire(
    make_schedule: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schedules.engine import planning

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    clock.is_at(START)
    schedule = make_schedule("job", "0 * * * *")
    with monkeypatch.context() as patched:
        patched.setattr(planning, "plan_one", fail)
        plan_due(START + timedelta(hours=1))
    now = clock.is_at(START + timedelta(hours=1, minutes=2))
    schedule_disable(schedule=schedule, actor=ACTOR)
    assert check(schedule, now) == 1


def test_jitter_puts_a_run_off_and_its_key_stays_the_nominal_fire(make_schedule: Make) -> None:
    schedule = make_schedule("spread", "* * * * *", next_run_at=START, jitter_seconds=50, overlap="queue_all")
    for minute in range(20):
        plan_due(START + timedelta(minutes=minute))
    delays = [(run.next_attempt_at - run.fire_at).total_seconds() for run in Run.objects.all()]  # type: ignore[operator]
    assert min(delays) >= 0
    assert max(delays) <= 50
    assert len(set(delays)) > 5
    assert {run.job_run_id for run in Run.objects.all()} == {
        f"s{schedule.pk}-20260328T00{minute:02}00Z" for minute in range(20)
    }


def test_a_run_that_could_not_start_in_time_is_skipped(
    make_schedule: Make, published: object, redis: object, clock: Clock
) -> None:
    from schedules.engine import admission, slots

    slots.rebuild()
    make_schedule("prompt", "0 * * * *", next_run_at=START, start_within_seconds=60, overlap="queue_all")
    plan_due(START)
    assert admission.admit_waiting(START + timedelta(seconds=60)) == 1
    end_all()
    plan_due(START + timedelta(hours=1))
    assert admission.admit_waiting(START + timedelta(hours=1, seconds=61)) == 0
    run = Run.objects.get(status="skipped")
    assert (run.error_code, run.events.last().kind) == ("start_within", "skipped")  # type: ignore[union-attr]


def test_a_year_of_outage_is_planned_at_once(make_schedule: Make) -> None:
    schedule = make_schedule("secondly", "* * * * * *", next_run_at=START)
    now = START + timedelta(days=365)
    assert plan_due(now).considered == 1
    assert sum(count or 0 for _, count in spans(schedule)) == 365 * 86400
    assert len(fires(schedule)) == 1
