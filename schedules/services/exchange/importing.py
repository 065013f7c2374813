"""Files of other schedulers, and our own, become new jobs: all of a file or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from fleet.actors import Actor
from fleet.models import Organisation
from schedules.exchange import Document, Entry, JobDocument, Problem, Refused, plan
from schedules.exchange.references import reference_problems
from schedules.services.exchange.executing import Execution
from schedules.services.exchange.standing import Rows, rows_of, standing, with_agents


@dataclass(frozen=True, kw_only=True)
class ImportedJob:
    """``next_run_at``: the first fire, None when it is paused or fires only by hand."""

    job: JobDocument
    line: int
    notes: tuple[str, ...]
    next_run_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Imported:
    jobs: tuple[ImportedJob, ...]
    blackouts: tuple[str, ...]
    notes: tuple[str, ...]


@transaction.atomic(durable=True)
def import_jobs(*, organisation: Organisation, actor: Actor, document: Document, dry_run: bool = False) -> Imported:
    """Create what a document holds, each job as :func:`schedule_create` would, in one transaction.

    Raises :class:`Refused` with everything that is wrong, line by line; nothing was created then, nor by ``dry_run``.
    """
    rows = rows_of(organisation, lock=True)
    now, wanted = standing(rows), with_agents(document, rows)
    problems = [*wanted.problems, *_taken(wanted, now), *reference_problems(now=now, wanted=wanted, prune=False)]
    execution = Execution(organisation=organisation, actor=actor, rows=rows, wanted=wanted)
    execution.run(plan(now=now, wanted=_new(wanted, now), prune=False))
    if problems := execution.all_problems(problems):
        raise Refused(problems, headline="Nothing was imported.")
    transaction.set_rollback(dry_run)
    return _imported(wanted, rows)


def _taken(wanted: Document, now: Document) -> list[Problem]:
    """Names that exist already."""
    text = "the name is taken; to change what is there, edit what `manage.py job export` writes and `job apply` that"
    jobs, blackouts = now.job_values(), now.blackout_values()
    entries: list[Entry[Any]] = [entry for entry in wanted.jobs or () if entry.value.name in jobs]
    entries += [entry for entry in wanted.blackouts or () if entry.value.name in blackouts]
    return [Problem(line=entry.line, name=entry.value.name, text=text) for entry in entries]


def _new(wanted: Document, now: Document) -> Document:
    """Without what is refused by its name alone: it is judged no further."""
    jobs, blackouts = now.job_values(), now.blackout_values()
    return Document(
        jobs=tuple(entry for entry in wanted.jobs or () if entry.value.name not in jobs),
        blackouts=tuple(entry for entry in wanted.blackouts or () if entry.value.name not in blackouts),
    )


def _imported(wanted: Document, rows: Rows) -> Imported:
    jobs = (
        ImportedJob(
            job=entry.value,
            line=entry.line,
            notes=entry.notes,
            next_run_at=rows.jobs[entry.value.name].next_run_at if entry.value.enabled else None,
        )
        for entry in wanted.jobs or ()
    )
    return Imported(jobs=tuple(jobs), blackouts=tuple(wanted.blackout_values()), notes=wanted.notes)
