"""Dkron's jobs (``GET /v1/jobs``) to a document. What can't be carried over is said with each job, never lost silently.

A wrapper of Dkron's that writes ``env`` as a JSON object and ``timeout`` as seconds is read too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from schedules.exchange.dkron_commands import DkronRefused, command_values, flag, text_of
from schedules.exchange.documents import Document, Entry, JobDocument
from schedules.exchange.field_problems import field_problems
from schedules.exchange.job_names import job_names
from schedules.exchange.json_items import json_items
from schedules.exchange.problems import Problem
from schedules.exchange.sources import Source

# ``--concurrency allow``: as many at once as the organisation and the agent allow.
ALLOWED_AT_ONCE = 1000
_CONCURRENCY: Mapping[str, Mapping[str, Any]] = {
    "": {"overlap": "queue_all", "max_concurrent_runs": ALLOWED_AT_ONCE},
    "allow": {"overlap": "queue_all", "max_concurrent_runs": ALLOWED_AT_ONCE},
    "forbid": {"overlap": "skip", "max_concurrent_runs": 1},
}
_CARRIED = {
    "name", "displayname", "timezone", "schedule", "owner", "owner_email", "disabled", "metadata", "retries",
    "parent_job", "concurrency", "executor", "executor_config", "ephemeral", "expires_at", "starts_at",
}  # fmt: skip
# What a job did so far is no part of what it is.
_HISTORY = {"id", "success_count", "error_count", "last_success", "last_error", "status", "next", "dependent_jobs"}
_DROPPED = {
    "tags": "which node runs it has no meaning here",
    "processors": "every run's output is kept in its log",
}


def read_dkron(text: str, source: Source) -> Document:
    """A job that can't be taken is a problem of the document. Raises :class:`Refused` for what is no JSON."""
    found = list(json_items(text))
    items = [(line, item) for line, item in found if isinstance(item, dict)]
    problems = [Problem(line=line, text="a job is an object") for line, item in found if not isinstance(item, dict)]
    names = _names(items, problems)
    entries = [entry for line, job in items if (entry := _entry(line, job, names, source, problems))]
    notes = tuple(_notes(items, source))
    return Document(jobs=tuple(entries), blackouts=None, notes=notes, problems=tuple(problems))


def _names(items: list[tuple[int, dict[str, Any]]], problems: list[Problem]) -> dict[str, str]:
    """Ours by theirs."""
    originals: dict[str, int] = {}
    for line, job in items:
        name = _called(job)
        if name in originals:
            problems.append(Problem(line=line, name=name, text=f"stands here again; it is in line {originals[name]}"))
        originals.setdefault(name, line)
    return dict(zip(originals, job_names(originals), strict=True))


def _called(job: dict[str, Any]) -> str:
    return str(job.get("name") or "").strip()


def _notes(items: list[tuple[int, dict[str, Any]]], source: Source) -> list[str]:
    if source.timezone or all(job.get("timezone") for _, job in items):
        return []
    return ["Jobs without a timezone are read in UTC; Dkron runs them in its server's. Name that with --timezone."]


def _entry(
    line: int, job: dict[str, Any], names: Mapping[str, str], source: Source, problems: list[Problem]
) -> Entry[JobDocument] | None:
    name = _called(job)
    notes: list[str] = []
    try:
        values = _values(job, names, source, notes)
        return Entry(value=JobDocument.model_validate(values), line=line, notes=tuple(notes))
    except DkronRefused as error:
        problems.append(Problem(line=line, name=name, text=str(error)))
    except ValidationError as error:
        problems += field_problems(error, name=name, line=line, lines={})
    return None


def _values(job: dict[str, Any], names: Mapping[str, str], source: Source, notes: list[str]) -> dict[str, Any]:
    original = text_of(job, "name")
    if not original:
        raise DkronRefused("the job has no name")
    name, parent = names[original], text_of(job, "parent_job")
    if name != original:
        notes.append(f"named {name}: a job's name has plain letters here")
    _note_drops(job, notes)
    return {
        "name": name,
        "display_name": text_of(job, "displayname") or original,
        "description": _description(job),
        "expression": text_of(job, "schedule") or ("@manually" if parent else ""),
        "timezone": text_of(job, "timezone") or source.zone,
        "run_after": names.get(parent, parent) or None,
        "max_retries": job.get("retries") or 0,
        "starts_at": _moment(job, "starts_at"),
        "ends_at": _moment(job, "expires_at"),
        **_state(job),
        **_limits(job, notes),
        **_concurrency(job),
        **command_values(job, source, notes),
    }


def _note_drops(job: dict[str, Any], notes: list[str]) -> None:
    for key, value in job.items():
        if key not in _CARRIED | _HISTORY and value not in (None, "", {}, [], False):
            notes.append(f"{key} dropped: {_DROPPED.get(key, 'there is no such field here')}")


def _description(job: dict[str, Any]) -> str:
    owner = " ".join(
        filter(None, [text_of(job, "owner"), f"<{mail}>" if (mail := text_of(job, "owner_email")) else ""])
    )
    metadata = job.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise DkronRefused("metadata has to be an object")
    lines = [f"{key}: {value}" for key, value in sorted(metadata.items())]
    return "\n".join([f"owner: {owner}"] * bool(owner) + lines)


def _moment(job: dict[str, Any], key: str) -> str | None:
    """Go's zero time is no time."""
    text = text_of(job, key)
    return None if text.startswith("0001-01-01") else text or None


def _state(job: dict[str, Any]) -> dict[str, Any]:
    return {"enabled": False, "paused_reason": "disabled in Dkron"} if flag(job, "disabled") else {}


def _limits(job: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    if not flag(job, "ephemeral"):
        return {}
    notes.append("ephemeral: it ends after one run (max_runs 1), and stays in the list")
    return {"max_runs": 1}


def _concurrency(job: dict[str, Any]) -> Mapping[str, Any]:
    policy = text_of(job, "concurrency")
    if policy not in _CONCURRENCY:
        raise DkronRefused(f'concurrency "{policy}" is not known; it is allow or forbid')
    return _CONCURRENCY[policy]
