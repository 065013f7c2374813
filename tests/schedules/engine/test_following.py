"""What the end of a run starts: the runs that follow it, and the pause of a job that keeps failing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from fleet.errors import Conflict, InvalidInput, NotFound
from fleet.models import AuditEntry, Organisation
from schedules.engine import execution, lifecycle, pausing
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now
from schedules.engine.lifecycle import Outcome
from schedules.engine.newruns import new_run
from schedules.executors.base import Result
from schedules.models import Run, Schedule, SkipSpan
from schedules.services.runs import run_cancel, run_now
from schedules.services.schedules import schedule_delete, schedule_disable, schedule_enable, schedule_update
from tests.schedules.engine.conftest import ACTOR

Make = Callable[..., Schedule]


@pytest.fixture
def scan(make_schedule: Make) -> Schedule:
    return make_schedule("scan")


def run_of(schedule: Schedule, trigger: str = "manual") -> Run:
    run = new_run(schedule, database_now())
    run.job_run_id, run.trigger = f"t{Run.objects.count()}", trigger
    return lifecycle.runs_insert([run], cause="test")[0]


def end(run: Run, status: str) -> None:
    now = database_now()
    run.admission_token = lifecycle.runs_admit([run], now=now)[run.pk]
    held = lifecycle.run_claim(Claim(run=run.pk, attempt=1, token=run.admission_token), worker="w", now=now)
    assert held is not None
    result = Result(summary="done") if status == "success" else None
    assert lifecycle.run_finish(held, Outcome(status=status, result=result), now=database_now())  # type: ignore[arg-type]


def followers() -> list[str]:
    return sorted(Run.objects.filter(trigger="event").values_list("schedule_name", flat=True))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("success", ["after-always", "after-success"]),
        ("failed", ["after-always", "after-failure"]),
        ("timeout", ["after-always", "after-failure"]),
        ("cancelled", ["after-always"]),
    ],
)
def test_who_follows_which_end(make_schedule: Make, scan: Schedule, status: str, expected: list[str]) -> None:
    for how in Schedule.After.values:
        make_schedule(f"after-{how}", run_after=scan, run_after_on=how)
    run = run_of(scan)
    end(run, status)
    assert followers() == expected
    following = Run.objects.filter(trigger="event").first()
    assert following is not None
    assert following.job_run_id == f"e{following.schedule_id}-{run.pk}"
    event = following.events.get()
    assert event.cause == f"scan ended: {status} ({run.job_run_id})"


def test_the_end_and_what_follows_are_one_transaction(make_schedule: Make, scan: Schedule) -> None:
    make_schedule("backup", run_after=scan)
    run = run_of(scan)
    with transaction.atomic():
        end(run, "success")
        transaction.set_rollback(True)
    assert followers() == []
    assert Run.objects.get().status == "queued"


def test_a_follower_that_was_deleted_meanwhile_does_not_cost_the_end(
    make_schedule: Make, scan: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its foreign key is refused when the end is committed: the end is recorded all the same, with the claim it has."""
    real, gone = lifecycle.following_runs, make_schedule("gone")
    stale = new_run(gone, database_now())
    stale.job_run_id, stale.trigger = "e-gone", "event"
    Schedule.objects.filter(pk=gone.pk).delete()
    looks = iter([[stale]])
    monkeypatch.setattr(lifecycle, "following_runs", lambda *args: next(looks, None) or real(*args))
    run = run_of(scan)
    run.admission_token = lifecycle.runs_admit([run], now=database_now())[run.pk]
    held = lifecycle.run_claim(Claim(run=run.pk, attempt=1, token=run.admission_token), worker="w", now=database_now())
    assert held is not None
    assert execution._record(held, Outcome(status="success", result=Result(summary="done")), None) == (True, None)
    run.refresh_from_db()
    assert (run.status, run.result_summary) == ("success", "done")


def test_a_retry_that_follows_starts_nothing_yet(make_schedule: Make, scan: Schedule) -> None:
    make_schedule("backup", run_after=scan, run_after_on="always")
    Schedule.objects.filter(pk=scan.pk).update(max_retries=1)
    scan.refresh_from_db()
    run = run_of(scan)
    now = database_now()
    run.admission_token = lifecycle.runs_admit([run], now=now)[run.pk]
    held = lifecycle.run_claim(Claim(run=run.pk, attempt=1, token=run.admission_token), worker="w", now=now)
    assert held is not None
    lifecycle.run_finish(held, Outcome(status="failed", retryable=True), now=now)
    assert followers() == []


def test_a_waiting_run_that_is_cancelled_counts_as_an_end(
    make_schedule: Make, scan: Schedule, redis: object, published: object
) -> None:
    make_schedule("backup", run_after=scan, run_after_on="always")
    run_cancel(run=run_of(scan), actor=ACTOR)
    assert followers() == ["backup"]


def test_a_paused_follower_and_a_backfill_start_nothing(make_schedule: Make, scan: Schedule) -> None:
    backup = make_schedule("backup", run_after=scan)
    end(run_of(scan, trigger="backfill"), "success")
    schedule_disable(schedule=backup, actor=ACTOR)
    end(run_of(scan), "success")
    assert followers() == []


def test_a_chain_runs_through(make_schedule: Make, scan: Schedule) -> None:
    backup = make_schedule("backup", run_after=scan)
    make_schedule("report", run_after=backup)
    end(run_of(scan), "success")
    end(Run.objects.get(schedule=backup), "success")
    assert followers() == ["backup", "report"]


def test_circles_are_refused(make_schedule: Make, scan: Schedule) -> None:
    backup = make_schedule("backup", run_after=scan)
    report = make_schedule("report", run_after=backup)
    with pytest.raises(InvalidInput, match="scan after report after backup after scan") as refusal:
        schedule_update(schedule=scan, actor=ACTOR, run_after=report)
    assert refusal.value.field == "run_after"
    with pytest.raises(InvalidInput, match="scan after scan"):
        schedule_update(schedule=scan, actor=ACTOR, run_after=scan)


def test_only_jobs_of_the_same_organisation_follow(make_schedule: Make, scan: Schedule) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    with pytest.raises(NotFound):
        make_schedule("theirs", organisation=other, run_after=scan)


def test_what_others_follow_is_not_deleted(make_schedule: Make, scan: Schedule) -> None:
    make_schedule("backup", run_after=scan)
    with pytest.raises(Conflict, match=r"job edit backup --after none"):
        schedule_delete(schedule=scan, actor=ACTOR)


def test_a_job_that_keeps_failing_is_paused_with_the_reason(make_schedule: Make) -> None:
    flaky = make_schedule("flaky", "0 2 * * *", pause_after_failures=2)
    end(run_of(flaky), "failed")
    assert not pausing.pause_if_failing(flaky.pk, database_now())
    end(run_of(flaky), "timeout")
    assert pausing.pause_if_failing(flaky.pk, database_now())
    flaky.refresh_from_db()
    assert (flaky.enabled, flaky.paused_reason) == (False, "its last 2 runs failed")
    assert SkipSpan.objects.get().reason == "paused"
    assert AuditEntry.objects.filter(action="schedule.disable", actor="engine").exists()


def test_a_success_between_failures_starts_the_count_anew(make_schedule: Make) -> None:
    flaky = make_schedule("flaky", "0 2 * * *", pause_after_failures=2)
    for status in ("failed", "success", "failed"):
        end(run_of(flaky), status)
    assert not pausing.pause_if_failing(flaky.pk, database_now())


def test_failures_before_it_was_resumed_do_not_pause_it_again(make_schedule: Make) -> None:
    flaky = make_schedule("flaky", "0 2 * * *", pause_after_failures=1)
    end(run_of(flaky), "failed")
    assert pausing.pause_if_failing(flaky.pk, database_now())
    schedule_enable(schedule=flaky, actor=ACTOR)
    assert not pausing.pause_if_failing(flaky.pk, database_now())


def test_the_beat_pauses_what_a_dead_worker_could_not(make_schedule: Make) -> None:
    flaky = make_schedule("flaky", "@yearly", pause_after_failures=1)
    end(run_of(flaky), "failed")
    assert flaky.next_run_at is not None
    late = flaky.next_run_at + timedelta(minutes=5)
    assert pausing.pause_failing_due(late) == 1
    assert not Run.objects.filter(trigger="schedule").exists(), "the fires since the failure are paused, not run"
    assert SkipSpan.objects.get().reason == "paused"


def test_run_now_of_a_paused_job_still_runs(make_schedule: Make, redis: object, published: list[object]) -> None:
    flaky = make_schedule("flaky", "0 2 * * *")
    schedule_disable(schedule=flaky, actor=ACTOR)
    assert run_now(schedule=flaky, actor=ACTOR).run.pk


def test_a_chain_has_an_end(make_schedule: Make, scan: Schedule) -> None:
    before = scan
    for number in range(48):
        before = make_schedule(f"link{number}", run_after=before)
    with pytest.raises(InvalidInput, match="More than 50 jobs") as refusal:
        make_schedule("one-more", run_after=make_schedule("last", run_after=before))
    assert refusal.value.field == "run_after"
