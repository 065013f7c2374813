"""What would make one document equal to another: a pure comparison of what is and what is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schedules.exchange.documents import BlackoutDocument, Document, JobDocument
from schedules.exchange.order import leaders_first

Kind = Literal["job", "blackout"]
Action = Literal["create", "update", "enable", "pause", "delete"]
# Enabling and pausing are steps of their own: they are accounted for in the ledger.
_STATE = ("enabled", "paused_reason")


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """JSON values; ``payload.keep`` for a part of the payload, None for what is not there."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change. A deletion names all that is lost, so that a plan differs when that has changed meanwhile."""

    kind: Kind
    name: str
    action: Action
    changes: tuple[FieldChange, ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        """The fields that change, the payload as one."""
        return frozenset(change.field.partition(".")[0] for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``steps`` in the order in which they can be taken. ``kept``: what only pruning would delete."""

    steps: tuple[Step, ...]
    unchanged: tuple[str, ...]
    kept: tuple[str, ...]

    def count(self, action: Action) -> int:
        return sum(step.action == action for step in self.steps)


def plan(*, now: Document, wanted: Document, prune: bool) -> Plan:
    """From what is to what is wanted. Both are sound: names are known, jobs follow one another in no circle.

    Calendars are made before the jobs that name them, jobs after those that they follow; followers are deleted first.
    """
    has, wants = now.job_values(), wanted.job_values()
    jobs = _compared(has, wants)
    blackouts = _compared(now.blackout_values(), wanted.blackout_values())
    order = leaders_first({name: job.run_after for name, job in (has | wants).items()})
    gone = [name for name in reversed(order) if name not in wants] if wanted.jobs is not None else []
    steps = [
        *_taken("blackout", blackouts, sorted(blackouts)),
        *_taken("job", jobs, order),
        *(_deletion("job", has[name]) for name in gone if prune),
        *(_deletion("blackout", each) for each in _gone_calendars(now, wanted) if prune),
    ]
    changed = {step.name for step in steps if step.kind == "job"}
    kept = [*sorted(gone), *(each.name for each in _gone_calendars(now, wanted))]
    return Plan(
        steps=tuple(steps),
        unchanged=tuple(name for name in sorted(jobs) if name not in changed),
        kept=() if prune else tuple(kept),
    )


def _gone_calendars(now: Document, wanted: Document) -> list[BlackoutDocument]:
    if wanted.blackouts is None:
        return []
    names = wanted.blackout_values()
    return [each for name, each in sorted(now.blackout_values().items()) if name not in names]


Pair = tuple[JobDocument | None, JobDocument] | tuple[BlackoutDocument | None, BlackoutDocument]


def _compared(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Pair]:
    return {name: (now.get(name), each) for name, each in wanted.items()}


def _taken(kind: Kind, pairs: Mapping[str, Pair], order: Iterable[str]) -> Iterator[Step]:
    for name in order:
        if name not in pairs:
            continue
        before, after = pairs[name]
        if before is None:
            changes = tuple(_changes({}, after.changed_fields()))
            yield Step(kind=kind, name=name, action="create", changes=changes)
        else:
            yield from _updates(kind, before, after)


def _updates(
    kind: Kind, before: JobDocument | BlackoutDocument, after: JobDocument | BlackoutDocument
) -> Iterator[Step]:
    changes = list(_changes(before.model_dump(), after.model_dump()))
    settings = tuple(change for change in changes if change.field not in _STATE)
    state = tuple(change for change in changes if change.field in _STATE)
    if settings:
        yield Step(kind=kind, name=after.name, action="update", changes=settings)
    if state:
        enabled = isinstance(after, JobDocument) and after.enabled
        yield Step(kind=kind, name=after.name, action="enable" if enabled else "pause", changes=state)


def _deletion(kind: Kind, value: JobDocument | BlackoutDocument) -> Step:
    changes = tuple(_changes(value.changed_fields(), {}))
    return Step(kind=kind, name=value.name, action="delete", changes=changes)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FieldChange]:
    for field in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(field), after.get(field)
        if field == "payload":
            yield from _payload_changes(old or {}, new or {})
        elif not _same(old, new):
            yield FieldChange(field=field, before=_json(old), after=_json(new))


def _payload_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FieldChange]:
    for key in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(key), after.get(key)
        if (key in before) != (key in after) or not _same(old, new):
            yield FieldChange(field=f"payload.{key}", before=old, after=new)


def _same(old: Any, new: Any) -> bool:
    """As JSON: to Python True is 1 and 1 is 1.0."""
    return old == new and json.dumps(old, sort_keys=True, default=str) == json.dumps(new, sort_keys=True, default=str)


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
