"""What a worker does with a message: claim, reap the former attempt, execute, finish, let the next one in."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection

from schedules.engine import admission, lifecycle, outcomes, pausing, slots
from schedules.engine.attempt import Attempt
from schedules.engine.chain import Chain
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now, statement_now
from schedules.engine.keeper import keeper
from schedules.engine.lifecycle import Outcome
from schedules.engine.redaction import Redactor
from schedules.engine.secrets import known_secrets
from schedules.engine.storable import mapped_texts
from schedules.executors.base import Executor, Stopped
from schedules.executors.registry import executors
from schedules.models import Run

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Unreaped:
    """What a lost attempt left outside could not be ended: nothing else may happen before it is."""

    cause: str
    of: Outcome | None


@dataclass(frozen=True, kw_only=True)
class HandedBack:
    """Stopped because its worker ends: another one starts it anew."""


@dataclass(frozen=True, kw_only=True)
class Freed:
    """The slots that an attempt holds no longer."""

    holder: slots.Holder
    queue: str


#: How an attempt came to its end.
Ended = Outcome | Unreaped | HandedBack


def execute(claim: Claim) -> None:
    """Handle one message, then those of the same executor that wait behind it (``chain``).

    A message whose token is void (redelivered, retried, cancelled) is dropped.
    """
    chain, former = Chain(), None
    run = _claim(claim)
    try:
        while run:
            work = Attempt(run, redact=Redactor(), log_limit_bytes=settings.WATCHBILL.log_limit_bytes)
            with keeper().attending(work):
                # Not before: who looks for waiters must not let the lease of the run that it has claimed run out.
                _let_next_in(former)
                done = _work_off(work, chain)
            former, wanted, run = done.freed, done.wanted, done.following
            if not run and not wanted:
                # Nothing waited before; what this end lets in may.
                _let_next_in(former)
                former, wanted = None, chain.next(after=work.run)
            run = run or (_claim(wanted) if wanted else None)
    finally:
        _let_next_in(former)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What is left to do after an attempt: slots to free, and the next run, or the message that names it."""

    freed: Freed | None = None
    following: Run | None = None
    wanted: Claim | None = None


def _work_off(work: Attempt, chain: Chain) -> Done:
    """One claimed attempt to its end."""
    run, freed = work.run, Freed(holder=slots.holder_of(work.run), queue=work.run.queue)
    if not _hold_slots(work):
        chain.end()
        return Done()
    outcome = _masked(work, _perform(work))
    _insist(work.runlog.close, work)
    if not (isinstance(outcome, Outcome) and outcome.status == "success"):
        chain.end()
    wanted = chain.next(after=run)
    recorded, following = _insist(lambda: _record(run, outcome, wanted), work) or (False, None)
    if not recorded:
        chain.end()
        logger.warning("run %s: the attempt had lost its claim; what it did is not recorded", run.job_run_id)
    elif isinstance(outcome, Outcome):
        _pause_if_failing(run, outcome)
    is_free = recorded and not isinstance(outcome, Unreaped)
    return Done(freed=freed if is_free else None, following=following, wanted=wanted)


def _claim(wanted: Claim) -> Run | None:
    """Claim, on a new connection when the kept one is dead: connections outlive tasks here (CELERY_DB_REUSE_MAX)."""

    def claim() -> Run | None:
        return lifecycle.run_claim(wanted, worker=worker_name(), now=statement_now())

    try:
        run = claim()
    except (OperationalError, InterfaceError) as error:
        logger.warning("run %s: the database connection is made anew: %s", wanted.run, error)
        connection.close()
        # When this fails too, the message is gone and the sweep publishes the run again.
        run = claim()
    if run is None:
        logger.info("message for run %s attempt %s dropped: its token is void", wanted.run, wanted.attempt)
    return run


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _masked(work: Attempt, outcome: Ended) -> Ended:
    """An outcome may quote what the work printed: it is masked as the log is."""
    if not isinstance(outcome, Outcome) or outcome.result is None:
        return outcome
    summary = work.redact(outcome.result.summary)
    details = mapped_texts(dict(outcome.result.details), work.redact)
    return replace(outcome, result=replace(outcome.result, summary=summary, details=details))


def _record(run: Run, outcome: Ended, wanted: Claim | None) -> tuple[bool, Run | None]:
    """Whether the end could be recorded, and the run that was claimed in the same step."""
    if isinstance(outcome, HandedBack):
        return lifecycle.run_hand_back(run, cause="its worker was drained", now=database_now()), None
    if isinstance(outcome, Unreaped):
        return lifecycle.run_not_reaped(run, cause=outcome.cause, outcome=outcome.of, now=database_now()), None
    try:
        if wanted:
            ended, following = lifecycle.run_succeed_and_claim(
                run, outcome, wanted, worker=worker_name(), now=statement_now()
            )
            if ended:
                return True, following
        return _finish(run, outcome), None
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError as error:
        # What can't be stored would otherwise be tried for ever while the lease is kept.
        logger.exception("run %s: its outcome can't be stored", run.job_run_id)
        reason = f"The outcome ({outcome.status}) can't be stored: {type(error).__name__}."
        plain = outcomes.failed("executor_error", reason)
        return lifecycle.run_finish(run, plain, now=database_now()) is not None, None


def _finish(run: Run, outcome: Outcome) -> bool:
    try:
        return lifecycle.run_finish(run, outcome, now=statement_now()) is not None
    except IntegrityError:
        # A job that was to follow was deleted meanwhile; the second look does not find it any more.
        return lifecycle.run_finish(run, outcome, now=statement_now()) is not None


def _hold_slots(work: Attempt) -> bool:
    """Take the slots once more: after a flushed Redis they may be gone. Without them the run goes back."""
    try:
        full = slots.acquire(slots.holder_of(work.run))
        cause = f"{full.name} is at its limit of {full.limit}" if full else ""
    except slots.SlotsNotReady:
        cause = "the slots are being rebuilt"
    except slots.RedisError:
        cause = "Redis can't be reached"
    if cause:
        _insist(lambda: lifecycle.run_give_back(work.run, cause=cause, now=database_now()), work)
    return not cause


def _perform(work: Attempt) -> Ended:
    executor = executors().get(work.run.executor)
    if executor is None:
        return outcomes.failed("executor_unknown", f"No executor named {work.run.executor!r} is installed here.")
    try:
        work.hide(known_secrets(work.run.agent.secret_refs if work.run.agent else {}))
        if unreaped := _reap(executor, work, of=None):
            return unreaped
        if early := outcomes.unexecuted(work, executor):
            return early
        payload = _payload(executor, work)
        work.check()  # told to stop before it began: another worker may have the run by now
        return Outcome(status="success", result=executor.execute(payload, work))
    except Exception as error:  # noqa: BLE001 - whatever an executor raises ends its run, never the worker
        stopped = work.stop_reason or isinstance(error, Stopped)
        outcome = outcomes.stopped(work) if stopped else outcomes.failure(work, error)
    if work.stop_reason == "drained" and executor.on_lost == "retry":
        work.log("Stopped: its worker ends. Another one starts it anew.")
        return _reap(executor, work, of=None) or HandedBack()
    # Nothing is recorded as ended while what it started outside may go on.
    return _reap(executor, work, of=outcome) or outcome


def _reap(executor: Executor[Any], work: Attempt, *, of: Outcome | None) -> Unreaped | None:
    """End what an attempt left outside: a lost one (``of`` is None), or this one after it did not succeed."""
    if not work.run.handle or work.stop_reason == "lease_lost":
        return None
    try:
        executor.reap(work.run.handle, work)
        work.clear_handle()
    except Exception as error:  # noqa: BLE001 - whatever it was, the work may still go on
        cause = work.redact(f"What the attempt left running could not be ended yet: {error}")
        work.log(f"{cause} It is tried again.")
        logger.warning("run %s: %s", work.job_run_id, cause)
        return Unreaped(cause=cause, of=of)
    if of is None:
        work.log("What the attempt had left running was ended.")
        lifecycle.run_note(work.run, kind="reaped", cause="what the attempt had left was ended", now=database_now())
    return None


def _payload(executor: Executor[Any], work: Attempt) -> Any:
    return executor.payload_model.model_validate(work.run.payload)


def _insist(step: Callable[[], T], work: Attempt) -> T | None:
    """Do it although the database may be away for a while; give up when the lease must be gone."""
    while True:
        try:
            return step()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() - work.renewed > settings.WATCHBILL.lease_seconds:
                logger.error("run %s: its end can't be recorded: %s", work.job_run_id, error)  # noqa: TRY400
                return None
            connection.close()
            time.sleep(0.5)
        except DatabaseError:
            logger.exception("run %s: a part of its log can't be stored", work.job_run_id)
            return None


def _pause_if_failing(run: Run, outcome: Outcome) -> None:
    """After the commit; when it can't be done now, the beat does it before the next fire."""
    if outcome.status not in {"failed", "timeout"} or run.schedule is None or not run.schedule.pause_after_failures:
        return
    try:
        pausing.pause_if_failing(run.schedule.pk, database_now())
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the beat pauses %s if it keeps failing: %s", run.schedule_name, error)


def _let_next_in(freed: Freed | None) -> None:
    """After the commit: free the slots, then look for waiters. What fails here, the sweep of the beat does."""
    if freed is None:
        return
    try:
        admission.let_next_in(freed.holder, freed.queue)
    except (slots.RedisError, slots.SlotsNotReady, DatabaseError, InterfaceError) as error:
        logger.warning("the beat admits the next run: %s", error)
    except Exception:
        # A run that has been claimed waits behind this.
        logger.exception("the beat admits the next run")
