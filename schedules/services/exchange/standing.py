"""What an organisation has, as a document; and what its documents name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from fleet.clients.docker_command import mask_environment
from fleet.errors import InvalidInput
from fleet.models import Agent, Organisation
from fleet.services.agents import agent_named
from schedules.exchange import AgentTarget, BlackoutDocument, Document, Entry, JobDocument
from schedules.executors.registry import executors
from schedules.models import BlackoutCalendar, Schedule
from schedules.services.schedules import FIELDS, organisation_locked, schedule_named

# What a row and a document hold in the same form.
PLAIN = tuple(field for field in FIELDS if field not in {"agent", "run_after", "retry_delays"})


@dataclass(frozen=True, kw_only=True)
class Rows:
    """An organisation's schedules, calendars and agents by name; a transaction adds what it makes."""

    jobs: dict[str, Schedule]
    blackouts: dict[str, BlackoutCalendar]
    agents: dict[str, Agent]


def rows_of(organisation: Organisation, *, lock: bool = False) -> Rows:
    """``lock``: nobody changes or deletes them until the caller's transaction ends."""
    jobs = Schedule.objects.of(organisation).select_related("organisation", "agent").order_by("pk")
    blackouts = BlackoutCalendar.objects.of(organisation).select_related("organisation").order_by("pk")
    if lock:
        organisation_locked(organisation.pk)
        jobs = jobs.select_for_update(of=("self",), no_key=True)
        blackouts = blackouts.select_for_update(of=("self",), no_key=True)
    return Rows(
        jobs={row.name: row for row in jobs.prefetch_related("blackouts")},
        blackouts={row.name: row for row in blackouts},
        agents={row.slug: row for row in Agent.objects.of(organisation)},
    )


def standing(rows: Rows) -> Document:
    """All of it, jobs and calendars by name."""
    # Not through the rows: what they once loaded would be old when the steps of a plan change it.
    names: dict[int | None, str] = {row.pk: name for name, row in rows.jobs.items()}
    return Document(
        jobs=tuple(Entry(value=_job(row, names)) for _, row in sorted(rows.jobs.items())),
        blackouts=tuple(Entry(value=_blackout(row)) for _, row in sorted(rows.blackouts.items())),
    )


def export_jobs(organisation: Organisation, names: Sequence[str] = ()) -> Document:
    """Everything, or these jobs with the calendars that they name. Raises ``NotFound`` with a near name."""
    for name in names:
        schedule_named(organisation, name)
    document = standing(rows_of(organisation))
    if not names:
        return replace(document, notes=tuple(_secret_notes(document)))
    jobs = tuple(entry for entry in document.jobs or () if entry.value.name in names)
    used = {name for entry in jobs for name in entry.value.blackouts}
    part = Document(jobs=jobs, blackouts=tuple(entry for entry in document.blackouts or () if entry.value.name in used))
    return replace(part, notes=(*_leader_notes(part), *_secret_notes(part)))


def agent_target(organisation: Organisation, slug: str) -> AgentTarget:
    """The agent in whose container a host's commands are to run. Raises ``NotFound`` or ``InvalidInput``."""
    agent = agent_named(organisation, slug)
    if not agent.container_name:
        raise InvalidInput(
            f"The agent {slug!r} has no container. Set it: manage.py agent edit {slug} --container NAME", field="agent"
        )
    return AgentTarget(slug=agent.slug, container=agent.container_name)


def with_agents(document: Document, rows: Rows) -> Document:
    """A job that names no agent gets the one whose container its payload names, as it will when it is saved."""
    if document.jobs is None:
        return document
    by_container = {agent.container_name: slug for slug, agent in rows.agents.items() if agent.container_name}
    jobs = (replace(entry, value=_with_agent(entry.value, by_container)) for entry in document.jobs)
    return replace(document, jobs=tuple(jobs))


def _with_agent(job: JobDocument, by_container: dict[str, str]) -> JobDocument:
    if job.agent is not None or (executor := executors().get(job.executor)) is None:
        return job
    try:
        container = executor.container_named(executor.payload_model.model_validate(job.payload))
    except (ValidationError, ValueError):
        return job  # the service says what is wrong with it
    slug = by_container.get(container)
    return job.model_copy(update={"agent": slug}) if slug else job


def _job(row: Schedule, names: Mapping[int | None, str]) -> JobDocument:
    # Not validated: a row that was damaged in the database must not keep the others from being exported.
    return JobDocument.model_construct(
        **{field: getattr(row, field) for field in PLAIN},
        enabled=row.enabled,
        paused_reason="" if row.enabled else row.paused_reason,
        retry_delays=tuple(row.retry_delays),
        agent=row.agent.slug if row.agent else None,
        run_after=names.get(row.run_after_id),
        blackouts=tuple(sorted(calendar.name for calendar in row.blackouts.all())),
    )


def _blackout(row: BlackoutCalendar) -> BlackoutDocument:
    return BlackoutDocument.model_construct(
        name=row.name, timezone=row.timezone, windows=row.windows, for_all=row.for_all
    )


def _leader_notes(part: Document) -> Iterable[str]:
    jobs = part.job_values()
    for name, job in jobs.items():
        if job.run_after is not None and job.run_after not in jobs:
            yield f"{name} runs after {job.run_after}, which is not in the file."


def _secret_notes(document: Document) -> Iterable[str]:
    if any(_gives_values(job) for job in document.job_values().values()):
        yield "Commands in it are given values with -e: keep the file as you keep those."


def _gives_values(job: JobDocument) -> bool:
    command = job.payload.get("command")
    if not isinstance(command, str):
        return False
    return mask_environment(command) != command
