"""Run now, retry, cancel. The calling process admits and publishes: nobody waits for the beat's next tick."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction

from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict, NotFound
from fleet.models import Agent, Organisation
from schedules.engine import admission, lifecycle, slots
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.models import Run, Schedule
from schedules.services.checks import check_payload

logger = logging.getLogger(__name__)

BEAT_STARTS_IT = "It waits in the queue; the beat starts it."
REDIS_AWAY = "Redis can't be reached; the run waits in the queue and starts when Redis is back."


@dataclass(frozen=True, kw_only=True)
class Requested:
    """A run that was asked for. ``note`` says why it does not start at once; empty when it does."""

    run: Run
    note: str = ""


def run_now(*, schedule: Schedule, actor: Actor) -> Requested:
    """Run a schedule once, whatever its timing and whether it is enabled. A run during an active run queues."""
    run = _request_now(schedule=schedule, actor=actor)
    return _dispatch(run)


def run_retry(*, run: Run, actor: Actor) -> Requested:
    """Run again what is over, as it was: a new run with the same payload that names the old one.

    Raises :class:`Conflict` while the run is not over.
    """
    return _dispatch(_request_retry(run=run, actor=actor))


def run_once(
    *, organisation: Organisation, executor: str, payload: dict[str, Any], agent: Agent | None, actor: Actor
) -> Requested:
    """Run an executor once, without a schedule: what a person or a program asks for now.

    Raises :class:`InvalidInput` as saving a schedule with this payload would.
    """
    return _dispatch(
        _request_once(organisation=organisation, executor=executor, payload=payload, agent=agent, actor=actor)
    )


@transaction.atomic(durable=True)
def run_cancel(*, run: Run, actor: Actor) -> Run:
    """Cancel a run: at once when it waits, within seconds when it runs. Raises :class:`Conflict` when it is over."""
    cause = f"cancelled by {actor.label}"
    done = lifecycle.run_cancel(run, cause=cause, actor=actor.label, now=database_now())
    fresh = Run.objects.with_limits().get(pk=run.pk)
    if done:
        _audit(run, "run.cancel", actor)
    elif fresh.is_over:
        raise Conflict(f"The run {run.job_run_id} is over already: {fresh.get_status_display()}.")
    if done == "ended":
        slots.release_after_commit([fresh])
    return fresh


@transaction.atomic(durable=True)
def run_abandon(*, run: Run, actor: Actor) -> Run:
    """Cancel a run whose outside work can't be ended (its container's engine is gone for good, say).

    Whoever does it looks after that work. Raises :class:`Conflict` unless the run waits for exactly this.
    """
    cause = f"abandoned by {actor.label}: what it left running outside is no longer looked after"
    if run.error_code != "not_reaped" or not lifecycle.run_abandon(
        run, cause=cause, actor=actor.label, now=database_now()
    ):
        raise Conflict(f"The run {run.job_run_id} does not wait for outside work to end: cancel it without --abandon.")
    _audit(run, "run.abandon", actor)
    slots.release_after_commit([run])
    return Run.objects.with_limits().get(pk=run.pk)


def run_found(organisation: Organisation, job_run_id: str) -> Run:
    """The organisation's run of this key. Raises :class:`NotFound`."""
    rows = Run.objects.of(organisation).with_limits()
    run = rows.filter(job_run_id=job_run_id).first()
    if run is None:
        raise NotFound(f"There is no run {job_run_id!r} in {organisation}.", field="run")
    return run


@transaction.atomic(durable=True)
def _request_now(*, schedule: Schedule, actor: Actor) -> Run:
    _require_open(schedule.organisation)
    run = new_run(schedule, database_now())
    run.job_run_id, run.trigger = f"m{schedule.pk}-{secrets.token_hex(8)}", Run.Trigger.MANUAL
    return _insert(run, "run.now", f"run now by {actor.label}", actor)


@transaction.atomic(durable=True)
def _request_retry(*, run: Run, actor: Actor) -> Run:
    _require_open(run.organisation)
    if not run.is_over:
        raise Conflict(f"The run {run.job_run_id} is not over yet ({run.get_status_display()}).")
    again = Run(
        job_run_id=f"r{run.pk}-{secrets.token_hex(8)}",
        trigger=Run.Trigger.RETRY,
        retry_of=run,
        created_at=database_now(),
        **{
            field: getattr(run, field)
            for field in (
                "organisation",
                "schedule",
                "agent",
                "schedule_name",
                "executor",
                "queue",
                "payload",
                "priority",
                "timeout_seconds",
                "max_retries",
                "retry_delays",
                "hold",
                "grace_seconds",
            )
        },
    )
    again.next_attempt_at = again.created_at
    return _insert(again, "run.retry", f"retry of {run.job_run_id} by {actor.label}", actor)


@transaction.atomic(durable=True)
def _request_once(
    *, organisation: Organisation, executor: str, payload: dict[str, Any], agent: Agent | None, actor: Actor
) -> Run:
    _require_open(organisation)
    if agent is not None and agent.organisation_id != organisation.pk:
        raise NotFound("There is no such agent in this organisation.", field="agent")
    # Never saved: it brings the defaults of schedules, and is judged as one.
    asked = Schedule(organisation=organisation, agent=agent, executor=executor, payload=payload)
    check_payload(asked)
    run = new_run(asked, database_now())
    run.schedule = None
    run.job_run_id, run.trigger = f"o{organisation.pk}-{secrets.token_hex(8)}", Run.Trigger.MANUAL
    return _insert(run, "run.once", f"{executor} asked for by {actor.label}", actor)


def _require_open(organisation: Organisation) -> None:
    if not organisation.is_active:
        raise Conflict(
            f"The organisation {organisation} is closed. Reopen it: manage.py org edit {organisation} --reopen"
        )


def _insert(run: Run, action: str, cause: str, actor: Actor) -> Run:
    run.requested_by = actor.label
    lifecycle.runs_insert([run], cause=cause, actor=actor.label)
    _audit(run, action, actor)
    return run


def _dispatch(run: Run) -> Requested:
    """After the commit: slots, token, message. What fails here stays queued and is the beat's to do."""
    try:
        admitted = admission.admit_run(run.pk)
        fresh = Run.objects.with_limits().get(pk=run.pk)
    except (slots.RedisError, slots.SlotsNotReady) as error:
        logger.warning("run %s stays queued: %s", run.job_run_id, error)
        return Requested(run=run, note=REDIS_AWAY)
    except (DatabaseError, InterfaceError) as error:
        # The run is committed: told as a refusal, it would be asked for a second time.
        logger.warning("run %s stays queued: %s", run.job_run_id, error)
        return Requested(run=run, note=BEAT_STARTS_IT)
    note = "" if admitted else "It waits for a free slot: an earlier run is still active."
    return Requested(run=fresh, note="" if fresh.status != Run.Status.QUEUED else note)


def _audit(run: Run, action: str, actor: Actor) -> None:
    audit_record(
        actor=actor,
        action=action,
        subject=run,
        organisation=run.organisation,
        after={"schedule": run.schedule_name, "trigger": run.trigger, "status": run.status},
    )
