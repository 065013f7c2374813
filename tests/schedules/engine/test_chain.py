"""What a worker process takes from the broker itself, behind a message that Celery gave it. A real Redis, no Celery."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from celery.events import EventDispatcher
from redis.exceptions import ConnectionError as RedisConnectionError

from schedules.engine import admission, chain, draining, execution, lifecycle, slots
from schedules.engine.claims import Claim, claim_of
from schedules.engine.consumer import tells_of_tasks
from schedules.engine.messages import arguments_of
from schedules.models import Run, Schedule
from tests.schedules.engine.test_execution import asked, happened

Make = Callable[..., Schedule]


@pytest.fixture(autouse=True)
def ready(redis: redis_client.Redis, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "SECONDS", 60.0)  # however busy the machine is
    slots.rebuild()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


@pytest.fixture
def job(make_schedule: Make, trace: Path) -> Schedule:
    return make_schedule(payload={"trace": str(trace)}, max_concurrent_runs=10)


def published(schedule: Schedule, count: int) -> list[Run]:
    runs = [asked(schedule) for _ in range(count)]
    admission.admit_waiting()
    return runs


def given(redis: redis_client.Redis) -> None:
    """Celery hands over the next message."""
    message = redis.rpop("scans")
    assert isinstance(message, bytes)
    claim = claim_of(*arguments_of(message))
    assert claim is not None
    execution.execute(claim)


def statuses() -> list[str]:
    return list(Run.objects.order_by("pk").values_list("status", flat=True))


def test_one_message_from_celery_is_enough_for_what_waits_behind_it(
    job: Schedule, redis: redis_client.Redis, trace: Path
) -> None:
    runs = published(job, 3)
    given(redis)
    assert statuses() == ["success"] * 3
    assert happened(trace) == ["start", "end"] * 3
    assert [list(run.events.values_list("kind", flat=True)) for run in runs] == [
        ["planned", "admitted", "started", "success"]
    ] * 3
    assert slots.held() == {}


def test_what_an_end_lets_in_is_taken_as_well(job: Schedule, redis: redis_client.Redis) -> None:
    Schedule.objects.update(max_concurrent_runs=1)
    published(job, 3)
    assert redis.llen("scans") == 1
    given(redis)
    assert statuses() == ["success"] * 3
    assert slots.held() == {}


def test_another_task_and_what_is_no_message_are_left_to_celery(job: Schedule, redis: redis_client.Redis) -> None:
    for foreign in (b"garbage", b"{}", b'{"headers": 7}', b'{"headers": {"task": "housekeeping.prune_runs"}}'):
        published(job, 2)
        redis.linsert("scans", "BEFORE", redis.lindex("scans", -1), foreign)
        given(redis)
        assert redis.lindex("scans", -1) == foreign
        assert redis.rpop("scans") == foreign
        given(redis)
    assert statuses() == ["success"] * 8


@pytest.mark.parametrize("body", [b"7", b'"%s"' % base64.b64encode(b"[" * 100_000)])
def test_a_message_that_names_no_run_is_dropped_with_one_line(
    body: bytes, job: Schedule, redis: redis_client.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    published(job, 1)
    redis.lpush("scans", b'{"headers": {"task": "test.trace"}, "body": %s}' % body)
    given(redis)
    assert redis.llen("scans") == 0
    assert statuses() == ["success"]
    assert [record.message for record in caplog.records] == [
        "a message for test.trace was dropped: its arguments name no attempt of a run"
    ]


def test_a_void_message_ends_the_chain(job: Schedule, redis: redis_client.Redis) -> None:
    first, second = published(job, 2)
    lifecycle.run_cancel(second, cause="not needed", actor="me", now=first.created_at)
    given(redis)
    assert statuses() == ["success", "cancelled"]
    assert redis.llen("scans") == 0
    assert not [name for name, members in slots.held().items() if any(first.job_run_id in each for each in members)]


@pytest.mark.parametrize("reason", ["drained", "watched", "too long"])
def test_a_chain_ends(
    reason: str, job: Schedule, redis: redis_client.Redis, request: pytest.FixtureRequest, monkeypatch: Any
) -> None:
    published(job, 2)
    if reason == "drained":
        request.addfinalizer(draining.reset)
        draining.begin()
    elif reason == "watched":
        request.addfinalizer(lambda: chain.watched(by_somebody=False))
        chain.watched(by_somebody=True)
    else:
        monkeypatch.setattr(chain, "SECONDS", 0.0)
    given(redis)
    assert (statuses(), redis.llen("scans")) == (["success", "queued"], 1)


def test_what_failed_is_no_link(make_schedule: Make, redis: redis_client.Redis, trace: Path) -> None:
    published(make_schedule(payload={"trace": str(trace), "fail_attempts": 1}, max_concurrent_runs=2), 2)
    given(redis)
    assert redis.llen("scans") == 1


def test_a_redis_that_is_away_ends_the_chain_and_loses_nothing(
    job: Schedule, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: object) -> None:
        raise RedisConnectionError("refused")

    published(job, 2)
    monkeypatch.setattr(chain, "_TAKE", away)
    given(redis)
    assert (statuses(), redis.llen("scans")) == (["success", "queued"], 1)
    assert "the next message comes by Celery: refused" in caplog.text


def test_a_run_that_others_follow_ends_in_its_own_way_and_the_next_is_worked_off(
    job: Schedule, make_schedule: Make, redis: redis_client.Redis
) -> None:
    make_schedule("after", run_after=job)
    published(job, 2)
    given(redis)
    assert list(Run.objects.filter(schedule=job).values_list("status", flat=True)) == ["success"] * 2
    assert Run.objects.filter(schedule_name="after").count() == 2


def test_a_lost_claim_does_not_cost_the_next_run(
    job: Schedule, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had been taken off the queue when the claim turned out to be lost is claimed on its own."""
    first, second = published(job, 2)
    real = chain.Chain.next

    def lose(*args: Any, **kwargs: Any) -> Claim | None:
        Run.objects.filter(pk=first.pk).update(claim_token="another's")
        return real(*args, **kwargs)

    monkeypatch.setattr(chain.Chain, "next", lose)
    given(redis)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.claim_token, second.status) == ("running", "another's", "success")


def test_what_is_told_to_stop_before_it_begins_does_not_begin(
    job: Schedule, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch, trace: Path
) -> None:
    """While its worker lets others in, a claimed run may lose its lease, and be another worker's by then."""
    real = execution._let_next_in

    def slow(freed: execution.Freed | None) -> None:
        real(freed)
        if freed:
            for attempt in execution.keeper().attempts():
                attempt.stop("lease_lost")

    published(job, 2)
    monkeypatch.setattr(execution, "_let_next_in", slow)
    given(redis)
    assert happened(trace) == ["start", "end"]


@pytest.mark.parametrize(
    ("enabled", "groups", "tells"), [(False, [], False), (True, ["worker"], False), (True, [], True)]
)
def test_who_asks_for_the_events_of_tasks_watches(*, enabled: bool, groups: list[str], tells: bool) -> None:
    from config.celery import app

    events = EventDispatcher(app=app, connection=app.connection(), enabled=False, groups=groups)
    events.enabled = enabled
    assert tells_of_tasks(events) == tells
    # As Flower's request does it.
    events.groups.add("task")
    assert tells_of_tasks(events) == enabled


def test_nobody_watches_a_worker_without_events() -> None:
    assert not tells_of_tasks(None)
