"""The rescue: judged by our own clock, never by our own absence; and the leader lease."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client

from schedules.engine import admission, lifecycle, publishing, rescue, slots
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now
from schedules.engine.leader import Leadership
from schedules.engine.newruns import new_run
from schedules.engine.rescue import Rescue
from schedules.models import EngineEvent, EngineLease, Run, Schedule

Make = Callable[..., Schedule]


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rescue, "time", clock)
    return clock


@pytest.fixture
def running(make_schedule: Make) -> Run:
    run = new_run(make_schedule(), database_now())
    run.job_run_id, run.trigger = "m1-rescued", Run.Trigger.MANUAL
    lifecycle.runs_insert([run], cause="test")
    run.admission_token = lifecycle.runs_admit([run], now=database_now())[run.pk]
    claimed = lifecycle.run_claim(
        Claim(run=run.pk, attempt=1, token=run.admission_token), worker="w:1", now=database_now()
    )
    assert claimed is not None
    return claimed


def beat_of(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(heartbeat_sequence=run.heartbeat_sequence + 1)
    run.refresh_from_db()


def test_a_lease_is_lost_after_a_full_lease_of_silence(running: Run, clock: Clock) -> None:
    sweep = Rescue()
    assert sweep.lost_leases(database_now()) == 0
    for _ in range(3):
        clock.now += 6.5
        assert sweep.lost_leases(database_now()) == 0
    clock.now += 0.6
    assert sweep.lost_leases(database_now()) == 1
    running.refresh_from_db()
    assert (running.status, running.attempt) == ("queued", 2)


def test_a_heartbeat_starts_the_count_anew(running: Run, clock: Clock) -> None:
    sweep = Rescue()
    for _ in range(5):
        sweep.lost_leases(database_now())
        clock.now += 15
        beat_of(running)
    assert sweep.lost_leases(database_now()) == 0


def test_nobody_is_judged_by_our_own_absence(running: Run, clock: Clock) -> None:
    sweep = Rescue()
    sweep.lost_leases(database_now())
    clock.now += 600
    sweep.forget()
    assert sweep.lost_leases(database_now()) == 0


def test_a_sweep_that_stood_still_itself_judges_nobody(running: Run, clock: Clock) -> None:
    sweep = Rescue()
    sweep.lost_leases(database_now())
    clock.now += 25
    assert sweep.lost_leases(database_now()) == 0


def test_a_clock_that_jumps_expires_no_lease(running: Run, clock: Clock) -> None:
    sweep = Rescue()
    sweep.lost_leases(database_now())
    Run.objects.filter(pk=running.pk).update(deadline_at=database_now() + timedelta(days=1))
    assert sweep.lost_leases(database_now() + timedelta(hours=1)) == 0


def test_a_deadline_overrides_heartbeats(running: Run, clock: Clock) -> None:
    late = database_now() + timedelta(seconds=running.timeout_seconds + 31)
    beat_of(running)
    assert Rescue().lost_leases(late) == 1
    running.refresh_from_db()
    assert (running.status, running.ending) == ("queued", "timeout")


def message(task_id: str) -> str:
    return json.dumps({"headers": {"id": task_id}, "body": ""})


def test_a_lost_message_is_published_again_however_busy_its_queue(
    make_schedule: Make, redis: redis_client.Redis, published: list[Any], clock: Clock
) -> None:
    slots.rebuild()
    run = new_run(make_schedule(), database_now())
    run.job_run_id, run.trigger = "m1-unclaimed", Run.Trigger.MANUAL
    lifecycle.runs_insert([run], cause="test")
    admission.admit_waiting(database_now())
    sweep = Rescue()
    assert sweep.unclaimed(database_now()) == 0, "too early"
    later = database_now() + timedelta(seconds=21)
    redis.lpush(run.queue, message(run.task_id), "garbage")
    assert sweep.unclaimed(later) == 0, "its message waits"
    redis.delete(run.queue)
    redis.lpush(run.queue, message("another.1"))
    assert sweep.unclaimed(later) == 1
    assert published[0] == published[1], "the same attempt under the same token"
    assert sweep.unclaimed(later) == 0, "it backs off"
    clock.now += 21
    assert sweep.unclaimed(later) == 1
    clock.now += 21
    assert sweep.unclaimed(later) == 0, "twice as long"


def test_one_leads_and_the_other_takes_over(transactional_db: None, settings: Any) -> None:
    first, second = Leadership(), Leadership()
    assert first.hold()
    assert not second.hold()
    assert first.hold(), "renewed"
    EngineLease.objects.update(expires_at=database_now() - timedelta(seconds=1))
    assert second.hold()
    assert not first.hold()
    second.resign()
    assert first.hold()


def test_the_length_of_a_lease_is_a_setting(running: Run, clock: Clock, settings: Any) -> None:
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, lease_seconds=3.0)
    sweep = Rescue()
    for _ in range(3):
        sweep.lost_leases(database_now())
        clock.now += 1.1
    assert sweep.lost_leases(database_now()) == 1


def kinds() -> list[str]:
    return list(EngineEvent.objects.order_by("pk").values_list("kind", flat=True))


def test_a_clock_that_leaps_ends_no_live_run(running: Run, clock: Clock) -> None:
    """Forward by hours, back, and forward again, as on a host whose clock is set: heartbeats decide."""
    sweep, leap = Rescue(), timedelta(0)
    for hours in (0, 0, 5, 5, -3, -3, 48, 48, 0):
        leap = timedelta(hours=hours)
        clock.now += 2
        beat_of(running)
        assert sweep.lost_leases(database_now() + leap) == 0
    running.refresh_from_db()
    assert running.status == "running"


def test_a_leader_lease_outlives_no_clock_that_is_set_back(transactional_db: None, clock: Clock) -> None:
    first, second = Leadership(), Leadership()
    assert first.hold()
    EngineLease.objects.update(expires_at=database_now() + timedelta(hours=3))
    assert second.hold(), "no lease can last so long: it was taken before the clock was set back"
    assert not first.hold(), "and never two of them"


def test_emptied_slots_are_rebuilt_with_one_event(running: Run, redis: redis_client.Redis) -> None:
    slots.rebuild()
    held = slots.held()
    redis.flushall()
    EngineEvent.objects.all().delete()
    sweep = Rescue()
    for _ in range(3):
        sweep.slots()
    assert slots.held() == held
    assert kinds() == ["slots_rebuilt"]
    assert EngineEvent.objects.get().detail == "of 1 runs that hold them"


def test_wrong_slots_are_mended_with_one_event_for_all(running: Run, redis: redis_client.Redis, clock: Clock) -> None:
    slots.rebuild()
    held = slots.held()
    EngineEvent.objects.all().delete()
    sweep = Rescue()
    assert sweep.slots() == 0
    for scope in held:
        redis.sadd(f"{slots.SLOTS_PATTERN[:-1]}{scope}", "gone-1:1", "gone-2:1")
    assert sweep.slots() == 0, "they may be admissions between two steps"
    clock.now += rescue.ORPHAN_SECONDS + 0.1
    assert sweep.slots() == 2 * len(held)
    assert slots.held() == held
    assert kinds() == ["slots_mended"]
    slots.drop([(scope, member) for scope, members in held.items() for member in members])
    assert sweep.slots() == len(held)
    assert slots.held() == held
    assert EngineEvent.objects.all()[0].detail == (
        f"0 that no run held were dropped, {len(held)} that were missing put back"
    )
    assert sweep.slots() == 0
    assert kinds() == ["slots_mended"] * 2, "nothing to tell, nothing told"


def test_a_run_that_ends_during_the_sweep_gets_no_slot_back(
    running: Run, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.rebuild()
    slots.drop([(scope, member) for scope, members in slots.held().items() for member in members])
    looks = []

    def held() -> dict[str, set[str]]:
        looks.append(1)
        if len(looks) == 2:
            lifecycle.run_finish(running, lifecycle.Outcome(status="success"), now=database_now())
        return {}

    monkeypatch.setattr(slots, "held", held)
    assert Rescue().slots() == 0


def test_a_take_over_is_told_once(transactional_db: None) -> None:
    first, second = Leadership(), Leadership()
    for _ in range(3):
        assert first.hold()
    EngineLease.objects.update(expires_at=database_now() - timedelta(seconds=1))
    assert second.hold()
    assert kinds() == ["leader", "leader"]
    assert "last renewed its lease" in EngineEvent.objects.all()[0].detail


def test_the_default_worst_cases_stay_below_half_a_minute() -> None:
    """What passes between a fault and its repair, by the defaults: docs/operations.md shows the same sums."""
    from config.env import watchbill
    from schedules.beat import RESCUE_SECONDS

    ours = watchbill()
    sweep = RESCUE_SECONDS + ours.tick_seconds
    # Killed right after a heartbeat, which the sweep sees late; then a full lease; then the sweep that judges.
    assert sweep + ours.lease_seconds + sweep < 30, "a worker that was killed"
    assert ours.unclaimed_seconds + sweep < 30, "a message that was lost"
    assert ours.leader_seconds + ours.tick_seconds + sweep < 30, "a beat that was killed, with a stand-by"
    assert sweep + ours.unclaimed_seconds + sweep < 30, "a Redis that was emptied: slots, then messages"
    assert rescue.DEADLINE_GRACE.total_seconds() + sweep < 30, "a run that its worker does not end"


def test_what_the_broker_refuses_is_not_counted_as_published(
    make_schedule: Make, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A Redis without memory answers, and takes nothing: each sweep tries again, and no event says otherwise."""
    slots.rebuild()
    run = new_run(make_schedule(), database_now())
    run.job_run_id, run.trigger = "m1-refused", Run.Trigger.MANUAL
    lifecycle.runs_insert([run], cause="test")
    lifecycle.runs_admit([run], now=database_now())
    late, sweep = database_now() + timedelta(seconds=60), Rescue()

    def refuse(_messages: object) -> None:
        raise publishing.BrokerUnreachable("out of memory")

    with monkeypatch.context() as refusing:
        refusing.setattr(publishing, "send", refuse)
        for _ in range(3):
            with pytest.raises(publishing.BrokerUnreachable):
                sweep.unclaimed(late)
    assert not run.events.filter(kind="published_again").exists()
    assert sweep.unclaimed(late) == 1
    assert redis.llen("scans") == 1


def test_a_lost_run_s_slot_is_its_own_and_needs_no_mending(
    running: Run, redis: redis_client.Redis, clock: Clock
) -> None:
    """It stands there as the former attempt, until the next one takes it over."""
    slots.rebuild()
    sweep = Rescue()
    lifecycle.run_lose(running, cause="gone", now=database_now())
    Run.objects.filter(pk=running.pk).update(handle={"exec": "abc"})
    for _ in range(3):
        assert sweep.slots() == 0
        clock.now += 6
    assert not EngineEvent.objects.filter(kind=EngineEvent.Kind.SLOTS_MENDED).exists()
    Run.objects.filter(pk=running.pk).update(handle={})
    sweep.slots()
    clock.now += 6
    assert sweep.slots() == 2
    assert slots.held() == {}
