"""How an attempt ended, in words: for the row, and for its log."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from schedules.engine.attempt import Attempt
from schedules.engine.lifecycle import Outcome
from schedules.executors.base import Executor, ExecutorError
from schedules.executors.problems import first_problem
from schedules.models import Run

logger = logging.getLogger(__name__)

# A worker that dies again and again on the same run is more likely killed by it than unlucky.
LOST_LIMIT = 5


def unexecuted(work: Attempt, executor: Executor[Any]) -> Outcome | None:
    """The end of one that is not to be executed at all any more; None for any other."""
    run = work.run
    if run.ending == "timeout":
        return Outcome(status="timeout", error_code="timeout", error_message=_deadline_text(run))
    if run.ending == "failed":
        return failed("not_repeated", "It failed, and what it had left running was ended afterwards.")
    if run.cancel_requested_at:
        return Outcome(status="cancelled", error_code="cancelled", error_message="Cancelled.")
    if run.lost_attempts and executor.on_lost == "fail":
        return failed("worker_lost", "The worker was lost, and this work must not be repeated by itself.")
    if run.lost_attempts >= LOST_LIMIT:
        return failed("worker_lost", f"{run.lost_attempts} workers were lost over this run; look at their logs.")
    return None


def failure(work: Attempt, error: Exception) -> Outcome:
    """Of an executor that raised."""
    if isinstance(error, ExecutorError):
        return _fail(work, error.code, str(error), retryable=error.retryable)
    if isinstance(error, ValidationError):
        return _fail(work, "payload_invalid", _first_problem(error), retryable=False)
    logger.error("run %s: %s raised", work.job_run_id, work.run.executor, exc_info=error)
    return _fail(work, "executor_error", f"{type(error).__name__}: {error}", retryable=True)


def _first_problem(error: ValidationError) -> str:
    return f"The payload is not valid any more: {first_problem(error)[1]} Edit the schedule's payload."


def _fail(work: Attempt, code: str, message: str, *, retryable: bool) -> Outcome:
    text = work.redact(message)
    work.log(text)
    return Outcome(status="failed", error_code=code, error_message=text, retryable=retryable)


def failed(code: str, message: str) -> Outcome:
    """A failure that no retry helps."""
    return Outcome(status="failed", error_code=code, error_message=message)


def stopped(work: Attempt) -> Outcome:
    """Of an attempt that was told to stop."""
    reason = work.stop_reason or "cancelled"
    if reason == "timeout":
        text = _deadline_text(work.run)
        work.log(text)
        return Outcome(status="timeout", error_code="timeout", error_message=text, retryable=True)
    if reason == "cancelled":
        work.log("Cancelled.")
        return Outcome(status="cancelled", error_code="cancelled", error_message="Cancelled while it ran.")
    if reason == "drained":
        way = f"manage.py job retry {work.job_run_id}"
        text = f"Its worker ended before it, and this work is not repeated by itself. When that is safe: {way}"
        return Outcome(status="failed", error_code="drained", error_message=text)
    return Outcome(status="failed", error_code=reason, error_message="The lease was lost.", retryable=True)


def _deadline_text(run: Run) -> str:
    return f"Ended after its time limit of {run.timeout_seconds} s (--timeout, or the schedule's timeout)."
