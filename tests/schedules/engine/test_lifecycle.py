"""Every edge of a run's life: taken once, by the right holder, with an event; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from schedules.engine import lifecycle
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now, statement_now
from schedules.engine.lifecycle import Outcome
from schedules.engine.newruns import new_run
from schedules.executors.base import Result
from schedules.models import Run, Schedule

Make = Callable[..., Schedule]


@pytest.fixture
def run(make_schedule: Make) -> Run:
    run = new_run(make_schedule(max_retries=2), database_now())
    run.job_run_id, run.trigger = "m1-test", Run.Trigger.MANUAL
    return lifecycle.runs_insert([run], cause="asked")[0]


@pytest.fixture
def other(run: Run) -> Run:
    assert run.schedule is not None
    other = new_run(run.schedule, database_now())
    other.job_run_id, other.trigger = "m2-test", Run.Trigger.MANUAL
    return lifecycle.runs_insert([other], cause="asked")[0]


def admit(run: Run) -> Run:
    run.admission_token = lifecycle.runs_admit([run], now=database_now())[run.pk]
    return run


def claim(run: Run) -> Run:
    claimed = lifecycle.run_claim(
        Claim(run=run.pk, attempt=run.attempt, token=run.admission_token), worker="w:1", now=database_now()
    )
    assert claimed is not None
    return claimed


def kinds(run: Run) -> list[str]:
    return list(run.events.order_by("pk").values_list("kind", flat=True))


def failed(*, retryable: bool = True) -> Outcome:
    return Outcome(status="failed", error_code="boom", error_message="It broke.", retryable=retryable)


def test_the_way_of_a_run_that_succeeds(run: Run) -> None:
    claimed = claim(admit(run))
    done = lifecycle.run_finish(claimed, Outcome(status="success", result=Result(summary="ok")), now=database_now())
    assert done is not None
    run.refresh_from_db()
    assert (run.status, run.result_summary, run.claim_token, run.admission_token) == ("success", "ok", "", "")
    assert run.finished_at is not None
    assert run.duration_ms is not None
    assert kinds(run) == ["planned", "admitted", "started", "success"]


def test_planning_a_key_again_changes_nothing(run: Run, make_schedule: Make) -> None:
    again = new_run(make_schedule("other"), database_now())
    again.job_run_id, again.trigger = run.job_run_id, Run.Trigger.MANUAL
    assert lifecycle.runs_insert([again], cause="asked twice") == []
    assert Run.objects.count() == 1
    assert kinds(run) == ["planned"]


def test_a_run_is_admitted_once(run: Run) -> None:
    other = Run.objects.get(pk=run.pk)
    admit(run)
    assert lifecycle.runs_admit([other], now=database_now()) == {}


@pytest.mark.parametrize(("attempt", "token"), [(1, "wrong"), (2, None), (1, "")])
def test_a_claim_needs_attempt_and_token(run: Run, attempt: int, token: str | None) -> None:
    admit(run)
    given = run.admission_token if token is None else token
    assert lifecycle.run_claim(Claim(run=run.pk, attempt=attempt, token=given), worker="w", now=database_now()) is None


def test_a_message_delivered_twice_claims_once(run: Run) -> None:
    token = admit(run).admission_token
    claim(run)
    again = lifecycle.run_claim(Claim(run=run.pk, attempt=1, token=token), worker="w:2", now=database_now())
    assert again is None
    assert kinds(run).count("started") == 1


def test_a_run_that_succeeded_never_starts_again(run: Run) -> None:
    token = admit(run).admission_token
    lifecycle.run_finish(claim(run), Outcome(status="success"), now=database_now())
    now = database_now()
    assert lifecycle.run_claim(Claim(run=run.pk, attempt=1, token=token), worker="w:2", now=now) is None
    assert lifecycle.runs_admit([run], now=now) == {}
    assert not lifecycle.run_cancel(run, cause="late", actor="me", now=now)


def test_a_failure_waits_for_its_next_attempt(run: Run) -> None:
    now = database_now()
    lifecycle.run_finish(claim(admit(run)), failed(), now=now)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.failed_attempts, run.error_code) == ("queued", 2, 1, "boom")
    assert run.next_attempt_at is not None
    assert timedelta(seconds=30) <= run.next_attempt_at - now <= timedelta(seconds=33)
    assert lifecycle.runs_admit([run], now=now) == {}, "it waits until its time"


def test_retries_come_to_an_end(run: Run) -> None:
    for expected in ("queued", "queued", "failed"):
        Run.objects.filter(pk=run.pk).update(next_attempt_at=database_now())
        run.refresh_from_db()
        lifecycle.run_finish(claim(admit(run)), failed(), now=database_now())
        run.refresh_from_db()
        assert run.status == expected
    assert run.attempt == 3


def test_the_countdowns_of_seed_004(run: Run) -> None:
    seconds = []
    for run.failed_attempts in range(6):
        seconds.append(lifecycle.retry_delay(run).total_seconds())
    for actual, expected in zip(seconds, [30, 60, 300, 900, 3600, 3600], strict=True):
        assert expected <= actual <= expected * 1.1


def test_a_failure_that_no_retry_can_help_ends_the_run(run: Run) -> None:
    lifecycle.run_finish(claim(admit(run)), failed(retryable=False), now=database_now())
    run.refresh_from_db()
    assert run.status == "failed"


def test_a_lost_claim_can_not_finish(run: Run) -> None:
    claimed = claim(admit(run))
    assert lifecycle.run_lose(claimed, cause="no sign of life", now=database_now())
    assert lifecycle.run_finish(claimed, Outcome(status="success"), now=database_now()) is None
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lost_attempts, run.failed_attempts) == ("queued", 2, 1, 0)


def test_a_lost_run_keeps_its_slots_until_it_was_reaped(run: Run) -> None:
    claimed = claim(admit(run))
    Run.objects.filter(pk=run.pk).update(handle={"exec": "abc"})
    lifecycle.run_lose(claimed, cause="gone", now=database_now())
    assert Run.objects.holding_slots().filter(pk=run.pk).exists()


def test_giving_back_costs_no_attempt(run: Run) -> None:
    claimed = claim(admit(run))
    assert lifecycle.run_give_back(claimed, cause="Redis is away", now=database_now())
    run.refresh_from_db()
    assert (run.status, run.attempt, run.failed_attempts) == ("queued", 1, 0)


def test_cancel_of_a_waiting_run_is_immediate(run: Run) -> None:
    admit(run)
    assert lifecycle.run_cancel(run, cause="not needed", actor="me", now=database_now())
    run.refresh_from_db()
    assert (run.status, run.admission_token) == ("cancelled", "")


def test_cancel_of_a_running_run_asks_its_worker(run: Run) -> None:
    claim(admit(run))
    assert lifecycle.run_cancel(run, cause="enough", actor="me", now=database_now())
    run.refresh_from_db()
    assert run.status == "running"
    assert run.cancel_requested_at is not None


def test_cancel_of_a_lost_run_waits_for_the_reaper(run: Run) -> None:
    claimed = claim(admit(run))
    Run.objects.filter(pk=run.pk).update(handle={"exec": "abc"})
    lifecycle.run_lose(claimed, cause="gone", now=database_now())
    assert lifecycle.run_cancel(run, cause="enough", actor="me", now=database_now())
    run.refresh_from_db()
    assert (run.status, run.ending) == ("queued", "cancelled")


def test_a_heartbeat_between_the_look_and_the_verdict_saves_the_run(run: Run) -> None:
    claimed = claim(admit(run))
    Run.objects.filter(pk=run.pk).update(heartbeat_sequence=claimed.heartbeat_sequence + 1)
    assert not lifecycle.run_lose(claimed, cause="no sign of life", silent=True, now=database_now())


def test_an_ending_outlives_the_loss_of_the_worker_that_reaps(run: Run) -> None:
    lifecycle.run_lose(claim(admit(run)), cause="overdue", ending="timeout", now=database_now())
    run.refresh_from_db()
    again = claim(admit(run))
    lifecycle.run_lose(again, cause="no sign of life", silent=True, now=database_now())
    run.refresh_from_db()
    assert (run.status, run.ending) == ("queued", "timeout")


def test_a_cancel_during_a_failing_attempt_wins_over_its_retry(run: Run) -> None:
    claimed = claim(admit(run))
    lifecycle.run_cancel(run, cause="enough", actor="me", now=database_now())
    lifecycle.run_finish(claimed, failed(), now=database_now())
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_a_success_that_was_cancelled_too_late_is_a_success(run: Run) -> None:
    claimed = claim(admit(run))
    lifecycle.run_cancel(run, cause="enough", actor="me", now=database_now())
    lifecycle.run_finish(claimed, Outcome(status="success"), now=database_now())
    run.refresh_from_db()
    assert run.status == "success"


def test_a_second_cancel_changes_nothing(run: Run) -> None:
    claim(admit(run))
    assert lifecycle.run_cancel(run, cause="enough", actor="me", now=database_now()) == "asked"
    assert lifecycle.run_cancel(run, cause="enough", actor="me", now=database_now()) == ""


def test_text_that_no_database_takes_is_stored_without_it(run: Run) -> None:
    nasty = "a\x00b\ud800c"
    result = Result(summary=nasty, details={nasty: [nasty]}, session_id=nasty * 100)
    done = lifecycle.run_finish(claim(admit(run)), Outcome(status="success", result=result), now=database_now())
    assert done is not None
    run.refresh_from_db()
    assert run.result_summary == "a\ufffdb\ufffdc"


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "running"},
        {"status": "success"},
        {"claim_token": "x"},
        {"status": "nonsense"},
        {"next_attempt_at": None},
        {"trigger": "magic"},
    ],
)
def test_the_database_refuses_states_that_can_not_be(run: Run, wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(**wrong)


def handed_on(run: Run, other: Run) -> tuple[Run | None, Run | None]:
    outcome = Outcome(status="success", result=Result(summary="ok", details={"n": 1}))
    claim = Claim(run=other.pk, attempt=1, token=other.admission_token)
    return lifecycle.run_succeed_and_claim(run, outcome, claim, worker="w:2", now=statement_now())


def test_the_end_of_one_claims_the_next(run: Run, other: Run) -> None:
    ended, claimed = handed_on(claim(admit(run)), admit(other))
    assert ended is not None
    assert claimed is not None
    for row, told in ((run, ended), (other, claimed)):
        row.refresh_from_db()
        for name in ("status", "claim_token", "worker", "started_at", "finished_at", "duration_ms", "deadline_at"):
            assert getattr(told, name) == getattr(row, name), name
    assert (run.status, run.result_summary, run.result) == ("success", "ok", {"n": 1})
    assert (other.status, other.worker, claimed.organisation.slug) == ("running", "w:2", "main")
    assert (kinds(run)[-1], kinds(other)[-1]) == ("success", "started")


def test_without_an_end_nothing_is_claimed(run: Run, other: Run) -> None:
    claimed = claim(admit(run))
    Run.objects.filter(pk=run.pk).update(claim_token="another's")
    assert handed_on(claimed, admit(other)) == (None, None)
    other.refresh_from_db()
    assert (other.status, kinds(other)[-1]) == ("queued", "admitted")


def test_an_end_does_without_a_next(run: Run, other: Run) -> None:
    admit(other)
    other.admission_token = "void"
    ended, claimed = handed_on(claim(admit(run)), other)
    assert ended is not None
    assert claimed is None
    assert kinds(run)[-1] == "success"


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_an_end_waits_for_nobody_who_holds_the_next_run(run: Run, other: Run) -> None:
    """Who locks several runs, as a cancelled backfill does, may come from the other side."""
    claimed, following = claim(admit(run)), admit(other)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Run.objects.select_for_update().get(pk=other.pk)
            ended, taken = pool.submit(_on_its_own_connection, claimed, following).result(timeout=5)
        assert ended is not None
        assert taken is None


def _on_its_own_connection(run: Run, other: Run) -> tuple[Run | None, Run | None]:
    try:
        return handed_on(run, other)
    finally:
        connection.close()
