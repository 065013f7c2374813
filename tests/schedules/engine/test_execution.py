"""What a worker does with a message, in this process: no broker, a real Redis for the slots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client

from schedules.engine import admission, execution, lifecycle, slots
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.executors.base import ExecutorError, Result
from schedules.models import Run, Schedule
from tests.witness.executors.traces import Trace

Make = Callable[..., Schedule]
Sent = list[tuple[int, int, str]]


@pytest.fixture(autouse=True)
def ready(redis: redis_client.Redis, transactional_db: None) -> None:
    slots.rebuild()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def asked(schedule: Schedule) -> Run:
    run = new_run(schedule, database_now())
    run.job_run_id, run.trigger = f"m-{schedule.name}-{Run.objects.count()}", Run.Trigger.MANUAL
    lifecycle.runs_insert([run], cause="test")
    return run


def work_off(published: Sent) -> None:
    """Handle every message, those that handling publishes included, each of them twice."""
    while published:
        run_id, attempt, token = published.pop(0)
        for _ in range(2):
            execution.execute(Claim(run=run_id, attempt=attempt, token=token))


def happened(trace: Path) -> list[str]:
    return [line.split()[1] for line in trace.read_text().splitlines()] if trace.exists() else []


def test_a_run_from_message_to_success(make_schedule: Make, published: Sent, trace: Path) -> None:
    run = asked(make_schedule(payload={"trace": str(trace), "text": "hello"}))
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert (run.status, run.result, run.handle) == ("success", {"text": "hello"}, {})
    assert happened(trace) == ["start", "end"]
    assert slots.held() == {}


def test_finishing_lets_the_next_in(make_schedule: Make, published: Sent, trace: Path) -> None:
    schedule = make_schedule(payload={"trace": str(trace)})
    for _ in range(4):
        asked(schedule)
    assert admission.admit_waiting(database_now()) == 1, "one at a time"
    work_off(published)
    assert happened(trace) == ["start", "end"] * 4


def test_without_slots_a_claimed_run_goes_back(
    make_schedule: Make, published: Sent, trace: Path, redis: redis_client.Redis
) -> None:
    run = asked(make_schedule(payload={"trace": str(trace)}))
    admission.admit_waiting(database_now())
    redis.flushall()
    work_off(published)
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("queued", 1)
    assert happened(trace) == []
    slots.rebuild()
    admission.admit_waiting(database_now())
    work_off(published)
    assert happened(trace) == ["start", "end"]


def test_a_payload_that_became_invalid_fails_with_the_reason(make_schedule: Make, published: Sent) -> None:
    run = asked(make_schedule(max_retries=3))
    Run.objects.filter(pk=run.pk).update(payload={"trace": "/dev/null", "colour": "blue"})
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "payload_invalid")
    assert "colour" in run.error_message


def test_an_exception_is_recorded_and_its_secrets_are_not(
    make_schedule: Make, published: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise ValueError("cannot log in with password=hunter22")

    monkeypatch.setattr(Trace, "execute", explode)
    run = asked(make_schedule())
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "executor_error")
    assert "ValueError" in run.error_message
    assert "hunter22" not in run.error_message


def test_an_outcome_is_masked_as_the_log_is(
    make_schedule: Make, published: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(_: Any, __: Any, context: Any) -> Result:
        context.hide(["a-secret-of-the-command"])
        return Result(summary="password=hunter22", details={"said": ["it is a-secret-of-the-command"]})

    monkeypatch.setattr(Trace, "execute", tell)
    run = asked(make_schedule())
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert run.result_summary == "password=[redacted]"
    assert run.result == {"said": ["it is [redacted]"]}


def lose(run: Run) -> None:
    run.refresh_from_db()
    Run.objects.filter(pk=run.pk).update(handle={"trace": run.payload["trace"]})
    claimed = lifecycle.run_claim(
        Claim(run=run.pk, attempt=run.attempt, token=run.admission_token), worker="dead:1", now=database_now()
    )
    assert claimed
    assert lifecycle.run_lose(claimed, cause="no sign of life", now=database_now())


def test_a_lost_attempt_is_reaped_before_the_next_starts(make_schedule: Make, published: Sent, trace: Path) -> None:
    run = asked(make_schedule(payload={"trace": str(trace)}))
    admission.admit_waiting(database_now())
    lose(run)
    published.clear()
    admission.admit_waiting(database_now())
    work_off(published)
    assert happened(trace) == ["reap", "start", "end"]
    assert "reaped" in run.events.values_list("kind", flat=True)


def test_work_that_must_not_be_repeated_is_reaped_and_failed(make_schedule: Make, published: Sent, trace: Path) -> None:
    run = asked(make_schedule(executor="test.once", payload={"trace": str(trace)}))
    admission.admit_waiting(database_now())
    lose(run)
    published.clear()
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "worker_lost")
    assert happened(trace) == ["reap"]


def test_a_cancelled_lost_run_is_reaped_and_not_started(make_schedule: Make, published: Sent, trace: Path) -> None:
    run = asked(make_schedule(payload={"trace": str(trace)}))
    admission.admit_waiting(database_now())
    lose(run)
    lifecycle.run_cancel(run, cause="enough", actor="me", now=database_now())
    published.clear()
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert happened(trace) == ["reap"]


def test_what_can_not_be_reaped_bars_the_next_attempt_and_keeps_the_slot(
    make_schedule: Make, published: Sent, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ExecutorError("docker_unreachable", "The Docker engine does not answer.")

    run = asked(make_schedule(payload={"trace": str(trace)}, max_retries=0))
    admission.admit_waiting(database_now())
    lose(run)
    with monkeypatch.context() as patched:
        patched.setattr(Trace, "reap", refuse)
        published.clear()
        admission.admit_waiting(database_now())
        work_off(published)
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("queued", "not_reaped")
    assert run.handle
    assert next(iter(slots.held().values())) == {f"{run.job_run_id}:2"}
    assert happened(trace) == []
    Run.objects.filter(pk=run.pk).update(next_attempt_at=database_now())
    admission.admit_waiting(database_now())
    work_off(published)
    assert happened(trace) == ["reap", "start", "end"]


def test_an_abandoned_run_lets_the_next_in(
    make_schedule: Make, published: Sent, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleet.actors import Actor
    from fleet.errors import Conflict
    from schedules.services.runs import run_abandon

    def refuse(*_: Any) -> None:
        raise ExecutorError("docker_unreachable", "The Docker engine does not answer.")

    run = asked(make_schedule(payload={"trace": str(trace)}))
    with pytest.raises(Conflict):
        run_abandon(run=run, actor=Actor.system("test"))
    admission.admit_waiting(database_now())
    lose(run)
    monkeypatch.setattr(Trace, "reap", refuse)
    published.clear()
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert run_abandon(run=run, actor=Actor.system("test")).status == "cancelled"
    assert slots.held() == {}


def test_work_that_a_cancelled_attempt_left_running_is_not_forgotten(
    make_schedule: Make, published: Sent, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused container: cancelling it can't end the exec; the run must not claim that it did."""

    def cancelled_midway(_: Any, payload: Any, context: Any) -> None:
        context.record_handle({"trace": payload.trace})
        lifecycle.run_cancel(context.run, cause="enough", actor="me", now=database_now())
        context.stop("cancelled")
        context.check()

    def refuse(*_: Any) -> None:
        raise ExecutorError("still_running", "The container is paused.")

    run = asked(make_schedule(payload={"trace": str(trace)}))
    admission.admit_waiting(database_now())
    with monkeypatch.context() as patched:
        patched.setattr(Trace, "execute", cancelled_midway)
        patched.setattr(Trace, "reap", refuse)
        work_off(published)
    run.refresh_from_db()
    assert (run.status, run.ending, run.error_code) == ("queued", "cancelled", "not_reaped")
    assert run.handle
    Run.objects.filter(pk=run.pk).update(next_attempt_at=database_now())
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert happened(trace) == ["reap"]


def test_a_binary_secret_file_does_not_break_a_run(
    make_schedule: Make, published: Sent, trace: Path, tmp_path: Path
) -> None:
    import os

    from fleet.models import Agent

    secret, fifo = tmp_path / "secret", tmp_path / "fifo"
    secret.write_bytes(b"\xff\xfe\x00binary")
    os.mkfifo(fifo)
    schedule = make_schedule(payload={"trace": str(trace)})
    references = {"a": f"file:{secret}", "b": f"file:{fifo}", "c": "file:/dev/zero", "d": "env:NO_SUCH_NAME"}
    agent = Agent.objects.create(organisation=schedule.organisation, slug="one", secret_refs=references)
    run = asked(schedule)
    Run.objects.filter(pk=run.pk).update(agent=agent)
    admission.admit_waiting(database_now())
    work_off(published)
    assert happened(trace) == ["start", "end"]


@pytest.mark.parametrize("nasty", ["a\x00b", "half a surrogate \udcff"])
def test_text_that_no_database_takes_ends_a_run_once(
    make_schedule: Make, published: Sent, trace: Path, monkeypatch: pytest.MonkeyPatch, nasty: str
) -> None:
    def fail(_: Any, payload: Any, context: Any) -> None:
        context.log(nasty)
        context.record_handle({"trace": payload.trace, "name": nasty})
        raise ExecutorError("nasty", nasty, retryable=False)

    monkeypatch.setattr(Trace, "execute", fail)
    run = asked(make_schedule(payload={"trace": str(trace)}))
    admission.admit_waiting(database_now())
    work_off(published)
    run.refresh_from_db()
    assert (run.status, run.error_code, run.attempt) == ("failed", "nasty", 1)
    assert happened(trace) == ["reap"], "what it may have left is ended before the end is recorded"
