"""The only writer of ``Run.status``. Every edge is a compare-and-set and appends an event with its cause.

A function here answers whether (or for which runs) the edge was taken; ``False`` means that somebody else was
first, which is normal. None opens a durable transaction: services and the engine compose them.
``docs/run-lifecycle.md`` names every state and edge.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import F

from schedules.engine import hotpath
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now
from schedules.engine.newruns import following_runs
from schedules.engine.storable import storable, storable_json
from schedules.executors.base import Result
from schedules.models import Run, RunEvent

Ending = Literal["success", "failed", "timeout", "cancelled"]
Status = Run.Status
# The width of the columns for ids of the outside world.
LONGEST_ID = 200


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended. ``retryable`` says whether another attempt may help."""

    status: Ending
    result: Result | None = None
    error_code: str = ""
    error_message: str = ""
    retryable: bool = False


def new_token() -> str:
    return secrets.token_hex(16)


@transaction.atomic(savepoint=False)
def runs_insert(runs: Sequence[Run], *, cause: str, actor: str = "") -> list[Run]:
    """Insert queued runs. A run whose ``job_run_id`` exists already was planned before: it is left alone.

    Returns the rows that are new, with their primary keys.
    """
    keys = [run.job_run_id for run in runs]
    known = set(Run.objects.filter(job_run_id__in=keys).values_list("job_run_id", flat=True))
    fresh = [run for run in runs if run.job_run_id not in known]
    Run.objects.bulk_create(fresh)
    _append(fresh, kind="planned", cause=cause, at=None, actor=actor)
    return fresh


def runs_admit(runs: Sequence[hotpath.Admissible], *, now: datetime) -> dict[int, str]:
    """queued → admitted, for runs that hold their slots. Returns the tokens of those that won by primary key."""
    return hotpath.admit(runs, [new_token() for _ in runs], now) if runs else {}


@transaction.atomic
def run_withdraw(run: Run, *, cause: str, now: datetime) -> bool:
    """admitted → waiting for a slot: its message is void, and its slots are the caller's to free."""
    row = Run.objects.filter(pk=run.pk, status=Status.QUEUED, admission_token=run.admission_token, handle={})
    changed = bool(run.admission_token) and row.update(admission_token="", admitted_at=None)
    if changed:
        _append([run], kind="withdrawn", cause=cause, at=now)
    return bool(changed)


@transaction.atomic
def run_skip(run: Run, *, cause: str, now: datetime) -> bool:
    """queued → skipped: too late for its first attempt to start (``start_by``)."""
    rows = Run.objects.filter(pk=run.pk, status=Status.QUEUED, admission_token="", attempt=1, handle={})
    changed = rows.update(
        status=Status.SKIPPED, finished_at=now, error_code="start_within", error_message=storable(cause)
    )
    if changed:
        _append([run], kind="skipped", cause=cause, at=now, status=Status.SKIPPED)
    return bool(changed)


def run_claim(claim: Claim, *, worker: str, now: datetime | None) -> Run | None:
    """admitted → running. Matches run, attempt and token; None means: drop the message.

    Without ``now`` PostgreSQL's own clock is read in the same statement (``clock.statement_now``).
    """
    return hotpath.claim(_claiming(claim, worker), now)


def _claiming(claim: Claim, worker: str) -> hotpath.Claiming:
    return hotpath.Claiming(
        run_id=claim.run,
        attempt=claim.attempt,
        admission_token=claim.token,
        claim_token=new_token(),
        worker=worker,
    )


def runs_renew(runs: Sequence[Run]) -> set[str]:
    """A sign of life of claimed runs. Returns the claim tokens that are still valid."""
    return hotpath.renew([(run.pk, run.claim_token) for run in runs])


@transaction.atomic
def run_give_back(run: Run, *, cause: str, now: datetime) -> bool:
    """running → queued with the attempt not used up, and the turn not lost: nothing was started."""
    changed = _claimed(run).update(
        status=Status.QUEUED,
        claim_token="",
        worker="",
        started_at=None,
        deadline_at=None,
    )
    if changed:
        _append([run], kind="returned", cause=cause, at=now, status=Status.QUEUED)
    return bool(changed)


@transaction.atomic
def run_hand_back(run: Run, *, cause: str, now: datetime) -> bool:
    """running → queued as the next attempt, its turn kept: its worker ends before it. What it had started is ended.

    Neither a failure nor a loss: it costs no retry.
    """
    changed = _claimed(run).update(status=Status.QUEUED, claim_token="", attempt=F("attempt") + 1, handle={})
    if changed:
        _append([run], kind="returned", cause=cause, at=now, status=Status.QUEUED)
    return bool(changed)


def run_finish(run: Run, outcome: Outcome, *, now: datetime | None) -> Run | None:
    """running → success, failed, timeout, cancelled; or → queued for the next attempt.

    Returns the run as it is now, None when this attempt had lost its claim: then nothing was written.
    """
    changes, _ = _succeeded(run, outcome, now)
    return _as_ended(run, changes or _finished(run, outcome, now or database_now()))


def run_succeed_and_claim(
    run: Run, outcome: Outcome, claim: Claim, *, worker: str, now: datetime | None
) -> tuple[Run | None, Run | None]:
    """running → success, and another run admitted → running: one commit instead of two.

    Returns the run as it is now and the other one if it was claimed. Nothing was written at all when the former is
    None: :func:`run_finish` and :func:`run_claim` decide then.
    """
    changes, claimed = _succeeded(run, outcome, now, following=_claiming(claim, worker))
    return _as_ended(run, changes), claimed


def _as_ended(run: Run, changes: dict[str, Any] | None) -> Run | None:
    if changes is None:
        return None
    # Only now: a commit that fails leaves the claim, with which the end is recorded once more.
    for name, value in changes.items():
        setattr(run, name, value)
    run.claim_token = ""
    return run


def _succeeded(
    run: Run, outcome: Outcome, now: datetime | None, *, following: hotpath.Claiming | None = None
) -> tuple[dict[str, Any] | None, Run | None]:
    """The common end by the hot path, and what was claimed with it; None when it is not that plain, or the claim was
    lost."""
    if outcome.status != "success":
        return None, None
    changes = _end(outcome, now)
    success = hotpath.Success(
        texts=[changes[name] for name in ("result_summary", "session_id", "message_id")],
        details=changes["result"],
        cause=storable(_cause(outcome, changes))[:500],
    )
    written, claimed = hotpath.succeed(run, success, now, following=following)
    return changes | written if written else None, claimed


@transaction.atomic
def _finished(run: Run, outcome: Outcome, now: datetime) -> dict[str, Any] | None:
    """The end as it was written, None when the claim was lost."""
    held = _claimed(run).select_for_update(no_key=True).values_list("cancel_requested_at", flat=True)
    if not held:
        return None
    if held[0] and outcome.status != "success":
        # Whoever cancelled it wants no further attempt, however this one ended.
        outcome = replace(outcome, status="cancelled", error_code="cancelled", retryable=False)
    changes = _retry(run, outcome, now) if may_retry(run, outcome) else _end(outcome, now)
    assert run.started_at is not None  # noqa: S101 - a claimed run was started
    changes["duration_ms"] = max(0, round((now - run.started_at) / timedelta(milliseconds=1)))
    if not _claimed(run).update(claim_token="", handle={}, ending="", **changes):
        return None
    _append([run], kind=outcome.status, cause=_cause(outcome, changes), at=now, status=changes["status"])
    if changes["status"] == outcome.status:
        _start_followers(run, outcome.status, now)
    return changes


@transaction.atomic
def run_cancel(run: Run, *, cause: str, actor: str, now: datetime) -> Literal["ended", "asked", ""]:
    """Cancel now what has not started, ask a running one to end. Empty: it is over, or was asked before."""
    row = Run.objects.select_for_update(no_key=True).filter(pk=run.pk).active().first()
    if row is None or row.cancel_requested_at:
        return ""
    if row.status == Status.QUEUED and not row.handle:
        _end_queued(row, status=Status.CANCELLED, code="cancelled", message=cause, now=now)
        _append([row], kind="cancelled", cause=cause, at=now, actor=actor, status=Status.CANCELLED)
        _start_followers(row, Status.CANCELLED, now)
        return "ended"
    # Outside work may still go on: the worker, or the next claim, which reaps, ends it.
    waiting = {"ending": "cancelled", "next_attempt_at": now} if row.status == Status.QUEUED else {}
    Run.objects.filter(pk=row.pk, status=row.status).update(cancel_requested_at=now, **waiting)
    _append([row], kind="cancel_requested", cause=cause, at=now, actor=actor)
    return "asked"


@transaction.atomic
def run_abandon(run: Run, *, cause: str, actor: str, now: datetime) -> bool:
    """queued → cancelled although what a lost attempt left outside could not be ended: a person looks after it."""
    row = Run.objects.select_for_update(no_key=True).filter(pk=run.pk, status=Status.QUEUED).first()
    if row is None:
        return False
    _end_queued(row, status=Status.CANCELLED, code="abandoned", message=cause, now=now)
    _append([row], kind="cancelled", cause=cause, at=now, actor=actor, status=Status.CANCELLED)
    _start_followers(row, Status.CANCELLED, now)
    return True


@transaction.atomic
def run_lose(run: Run, *, cause: str, ending: str = "", silent: bool = False, now: datetime) -> bool:
    """running → queued: its worker is gone. Handle and slots stay held until the next claim has reaped it.

    ``ending``: the next claim only reaps and then ends the run so; an ending that was decided before stays.
    ``silent``: only if the heartbeat still stands where it was seen.
    """
    rows = _claimed(run)
    if silent:
        rows = rows.filter(heartbeat_sequence=run.heartbeat_sequence)
    changed = rows.update(
        status=Status.QUEUED,
        claim_token="",
        attempt=F("attempt") + 1,
        lost_attempts=F("lost_attempts") + 1,
        next_attempt_at=now,
        ending=ending or F("ending"),
        error_code="worker_lost",
        error_message=cause,
    )
    if changed:
        _append([run], kind="lost", cause=cause, at=now, status=Status.QUEUED)
    return bool(changed)


@transaction.atomic
def run_not_reaped(run: Run, *, cause: str, outcome: Outcome | None, now: datetime) -> bool:
    """running → queued: what an attempt left outside could not be ended. Handle and slots stay held.

    The next claim tries again, after a countdown that grows with the attempts. ``outcome`` is how the attempt
    itself ended: one that no retry follows is written down as the run's ending.
    """
    ending = run.ending or (outcome.status if outcome and not may_retry(run, outcome) else "")
    changed = _claimed(run).update(
        status=Status.QUEUED,
        claim_token="",
        attempt=F("attempt") + 1,
        failed_attempts=F("failed_attempts") + (1 if outcome and not ending else 0),
        next_attempt_at=now + _countdown(run, run.attempt - 1),
        ending=ending,
        error_code="not_reaped",
        error_message=storable(cause),
    )
    if changed:
        _append([run], kind="not_reaped", cause=cause, at=now, status=Status.QUEUED)
    return bool(changed)


@transaction.atomic
def run_refuse(run: Run, *, code: str, message: str, now: datetime) -> bool:
    """queued → failed: it can never run as it is."""
    changed = _end_queued(run, status=Status.FAILED, code=code, message=message, now=now)
    if changed:
        _append([run], kind="failed", cause=message, at=now, status=Status.FAILED)
        _start_followers(run, Status.FAILED, now)
    return bool(changed)


def _start_followers(run: Run, status: str, now: datetime) -> None:
    """Queue the runs that follow, in the transaction of the end itself: neither is there without the other."""
    if following := following_runs(run, status, now):
        runs_insert(following, cause=f"{run.schedule_name} ended: {status} ({run.job_run_id})")


def _end_queued(run: Run, *, status: str, code: str, message: str, now: datetime) -> int:
    return Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(
        status=status,
        admission_token="",
        admitted_at=None,
        finished_at=now,
        handle={},
        ending="",
        error_code=code,
        error_message=storable(message),
    )


def run_note(run: Run, *, kind: str, cause: str, now: datetime) -> None:
    """An event without an edge: reaped, published again, slots rebuilt."""
    _append([run], kind=kind, cause=cause, at=now)


def _claimed(run: Run) -> Any:
    return Run.objects.filter(pk=run.pk, status=Status.RUNNING, claim_token=run.claim_token).exclude(claim_token="")


def may_retry(run: Run, outcome: Outcome) -> bool:
    """Whether another attempt follows this outcome."""
    if outcome.status not in {"failed", "timeout"} or not outcome.retryable or run.ending:
        return False
    return run.failed_attempts < run.max_retries


def _retry(run: Run, outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {
        "status": Status.QUEUED,
        "attempt": run.attempt + 1,
        "failed_attempts": run.failed_attempts + 1,
        "next_attempt_at": now + retry_delay(run),
        "error_code": outcome.error_code,
        "error_message": storable(outcome.error_message),
    }


def _end(outcome: Outcome, now: datetime | None) -> dict[str, Any]:
    result = outcome.result or Result(summary="")
    return {
        "status": outcome.status,
        "finished_at": now,
        "error_code": outcome.error_code,
        "error_message": storable(outcome.error_message),
        "result_summary": storable(result.summary),
        "result": storable_json(dict(result.details)),
        "session_id": storable(result.session_id)[:LONGEST_ID],
        "message_id": storable(result.message_id)[:LONGEST_ID],
    }


def retry_delay(run: Run) -> timedelta:
    """30, 60, 300, 900, 3600 s unless the run names others; the last one repeats. Jittered upwards by 10 %."""
    return _countdown(run, run.failed_attempts)


def _countdown(run: Run, step: int) -> timedelta:
    delays = run.retry_delays or settings.WATCHBILL.retry_delays
    seconds = float(delays[min(step, len(delays) - 1)])
    return timedelta(seconds=seconds * (1 + random.uniform(0, settings.WATCHBILL.retry_jitter)))  # noqa: S311


def _cause(outcome: Outcome, changes: dict[str, Any]) -> str:
    text = outcome.error_message or (outcome.result.summary if outcome.result else "")
    if changes["status"] == Status.QUEUED:
        text = f"{text} Next attempt at {changes['next_attempt_at']:%Y-%m-%d %H:%M:%S} UTC.".strip()
    return text


def _append(
    runs: Iterable[Run], *, kind: str, cause: str, at: datetime | None, actor: str = "", status: str = ""
) -> None:
    RunEvent.objects.bulk_create(
        RunEvent(
            run=run,
            at=at or run.created_at,
            kind=kind,
            status=status or run.status,
            attempt=run.attempt,
            cause=storable(cause)[:500],
            actor=actor,
        )
        for run in runs
    )
