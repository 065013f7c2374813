"""The steps of a plan as calls of the services, all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction

from fleet.actors import Actor
from fleet.errors import DomainError, NotFound
from fleet.models import Agent, Organisation
from fleet.names import near
from schedules.engine import pausing
from schedules.engine.clock import database_now
from schedules.exchange import Document, Entry, JobDocument, Plan, Problem, Step
from schedules.models import Schedule
from schedules.services import blackouts
from schedules.services.exchange.standing import PLAIN, Rows
from schedules.services.schedules import (
    create_in_transaction,
    delete_in_transaction,
    disable_in_transaction,
    enable_in_transaction,
    update_in_transaction,
)

# Written by steps of their own.
_APART = {"enabled", "paused_reason", "blackouts"}


class Execution:
    """A step that fails is undone alone, so that the next ones are judged too; whoever asked undoes all of them when
    there are ``problems``."""

    def __init__(self, *, organisation: Organisation, actor: Actor, rows: Rows, wanted: Document) -> None:
        self._organisation, self._actor, self._rows = organisation, actor, rows
        self._jobs, self._blackouts = wanted.job_values(), wanted.blackout_values()
        self._entries: dict[tuple[str, str], Entry[Any]] = {
            **{("job", entry.value.name): entry for entry in wanted.jobs or ()},
            **{("blackout", entry.value.name): entry for entry in wanted.blackouts or ()},
        }
        self._ways: Mapping[tuple[str, str], Callable[[Step], None]] = {
            ("job", "create"): self._create,
            ("job", "update"): self._update,
            ("job", "enable"): self._enable,
            ("job", "pause"): self._pause,
            ("job", "delete"): self._delete,
            ("blackout", "create"): self._create_blackout,
            ("blackout", "update"): self._update_blackout,
            ("blackout", "delete"): self._delete_blackout,
        }
        self.problems: list[Problem] = []

    def run(self, plan: Plan) -> None:
        for step in plan.steps:
            try:
                with transaction.atomic():
                    self._ways[step.kind, step.action](step)
            except DomainError as error:
                entry = self._entries.get((step.kind, step.name))
                line = entry.line_of(error.field) if entry else 0
                self.problems.append(Problem(line=line, name=step.name, text=error.message))

    def all_problems(self, earlier: list[Problem]) -> list[Problem]:
        """Those that were known before, and what the steps met besides."""
        told = {(problem.line, problem.name) for problem in earlier}
        return earlier + [problem for problem in self.problems if (problem.line, problem.name) not in told]

    def _create(self, step: Step) -> None:
        job = self._jobs[step.name]
        values = self._values(job, frozenset(JobDocument.model_fields) - _APART)
        row = create_in_transaction(organisation=self._organisation, actor=self._actor, **values)
        if job.blackouts:
            self._set_blackouts(row, job)
        if not job.enabled:
            # As a person would: made, then paused with a reason.
            row = disable_in_transaction(schedule=row, actor=self._actor, reason=job.paused_reason)
        self._rows.jobs[job.name] = row

    def _update(self, step: Step) -> None:
        row, job = self._rows.jobs[step.name], self._jobs[step.name]
        if fields := step.fields - _APART:
            row = update_in_transaction(schedule=row, actor=self._actor, **self._values(job, fields))
        if "blackouts" in step.fields:
            self._set_blackouts(row, job)
        self._rows.jobs[step.name] = row

    def _enable(self, step: Step) -> None:
        self._rows.jobs[step.name] = enable_in_transaction(schedule=self._rows.jobs[step.name], actor=self._actor)

    def _pause(self, step: Step) -> None:
        row, reason = self._rows.jobs[step.name], self._jobs[step.name].paused_reason
        if row.enabled:
            row = disable_in_transaction(schedule=row, actor=self._actor, reason=reason)
        else:
            # The same pause for another reason: from now on the ledger tells that one.
            pausing.pause(row, reason=reason, actor=self._actor, now=database_now())
        self._rows.jobs[step.name] = row

    def _delete(self, step: Step) -> None:
        delete_in_transaction(schedule=self._rows.jobs[step.name], actor=self._actor)

    def _create_blackout(self, step: Step) -> None:
        values = {name: getattr(self._blackouts[step.name], name) for name in blackouts.COLUMNS}
        row = blackouts.create_in_transaction(organisation=self._organisation, actor=self._actor, **values)
        self._rows.blackouts[step.name] = row

    def _update_blackout(self, step: Step) -> None:
        values = {name: getattr(self._blackouts[step.name], name) for name in step.fields}
        row = blackouts.update_in_transaction(calendar=self._rows.blackouts[step.name], actor=self._actor, **values)
        self._rows.blackouts[step.name] = row

    def _delete_blackout(self, step: Step) -> None:
        blackouts.delete_in_transaction(calendar=self._rows.blackouts[step.name], actor=self._actor)

    def _set_blackouts(self, row: Schedule, job: JobDocument) -> None:
        # One that could not be made is missing here; that has been said.
        calendars = [self._rows.blackouts[name] for name in job.blackouts if name in self._rows.blackouts]
        blackouts.schedule_blackouts_in_transaction(schedule=row, calendars=calendars, actor=self._actor)

    def _values(self, job: JobDocument, fields: frozenset[str]) -> dict[str, Any]:
        values = {name: getattr(job, name) for name in PLAIN if name in fields}
        if "retry_delays" in fields:
            values["retry_delays"] = list(job.retry_delays)
        if "agent" in fields:
            values["agent"] = self._agent(job)
        if "run_after" in fields:
            # The same: a leader that could not be made.
            values["run_after"] = self._rows.jobs.get(job.run_after or "")
        return values

    def _agent(self, job: JobDocument) -> Agent | None:
        if job.agent is None:
            return None
        if job.agent not in self._rows.agents:
            raise NotFound(
                f"there is no agent {job.agent!r}.{near(job.agent, self._rows.agents)} "
                f"`manage.py agent ls` lists them, `manage.py agent add {job.agent}` adds it.",
                field="agent",
            )
        return self._rows.agents[job.agent]
