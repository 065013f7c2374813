"""A plan for the terminal and for machines. What a command is given with ``-e`` is shown to neither."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.clients.docker_command import mask_environment
from schedules import timing
from schedules.exchange import Document, FieldChange, JobDocument, Plan, Problem, Step
from schedules.exchange.plans import Action

_SIGNS: dict[Action, str] = {"create": "+", "update": "~", "enable": ">", "pause": "|", "delete": "-"}
_LONGEST = 100
_NAMES_SHOWN = 8


def plan_lines(plan: Plan, wanted: Document) -> Iterator[str]:
    """A line for each step, and one for each field that changes."""
    jobs = wanted.job_values()
    width = max((len(_called(step)) for step in plan.steps), default=0)
    for step in plan.steps:
        head = f"{_SIGNS[step.action]} {step.action:6}  {_called(step).ljust(width)}"
        told = list(_told(step, jobs)) or [""]
        yield f"{head}  {told[0]}".rstrip()
        yield from (f"{' ' * len(head)}  {line}" for line in told[1:])


def plan_json(plan: Plan, *, applied: bool) -> dict[str, Any]:
    return {
        "applied": applied,
        "steps": [
            {"kind": step.kind, "name": step.name, "action": step.action, "changes": _changes_json(step)}
            for step in plan.steps
        ],
        "unchanged": list(plan.unchanged),
        "kept": list(plan.kept),
    }


def summary(plan: Plan) -> str:
    """``1 to create, 2 to update, 12 unchanged.``"""
    counts = [f"{count} to {action}" for action in _SIGNS if (count := plan.count(action))]
    unchanged = [f"{len(plan.unchanged)} unchanged"] if plan.unchanged else []
    return f"{', '.join([*counts, *unchanged])}."


def names_text(names: tuple[str, ...]) -> str:
    """``a, b, c`` or ``a, b, … and 5 more``."""
    more = len(names) - _NAMES_SHOWN
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def problems_json(problems: tuple[Problem, ...]) -> dict[str, Any]:
    return {"problems": [{"line": each.line or None, "name": each.name, "text": each.text} for each in problems]}


def _called(step: Step) -> str:
    return step.name if step.kind == "job" else f"{step.name} (blackout)"


def _told(step: Step, jobs: Mapping[str, JobDocument]) -> Iterator[str]:
    if step.action == "create" and step.kind == "job":
        yield _words(jobs[step.name])
    elif step.action == "update":
        yield from (_change_text(change) for change in step.changes)
    elif step.action in {"enable", "pause"}:
        yield from (_reason_text(change) for change in step.changes if change.field == "paused_reason")
    elif step.action == "delete" and step.kind == "job":
        lost = {change.field: change.before for change in step.changes}
        yield timing.describe(lost.get("expression", "@manually"), timezone=lost.get("timezone", "UTC"))


def _words(job: JobDocument) -> str:
    when = timing.describe(job.expression, timezone=job.timezone, job_name=job.name)
    after = f", after {job.run_after} ({job.run_after_on})" if job.run_after else ""
    paused = "" if job.enabled else f", paused: {job.paused_reason or 'no reason given'}"
    return f"{when}{after}{paused}"


def _reason_text(change: FieldChange) -> str:
    if change.before and change.after:
        return _change_text(change)
    return str(change.after) or f"it was paused: {change.before}"


def _change_text(change: FieldChange) -> str:
    before, after = _masked(change, change.before), _masked(change, change.after)
    if before == after:
        return f"{change.field}: a value behind -e differs"
    return f"{change.field}: {_shown(before)} → {_shown(after)}"


def _changes_json(step: Step) -> dict[str, Any]:
    return {
        change.field: {"before": _masked(change, change.before), "after": _masked(change, change.after)}
        for change in step.changes
    }


def _masked(change: FieldChange, value: Any) -> Any:
    return mask_environment(value) if change.field == "payload.command" and isinstance(value, str) else value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str) if value is not None else "nothing"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
