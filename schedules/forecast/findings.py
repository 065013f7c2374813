"""What is worth reading in a forecast: outcomes of a kind, grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from schedules.forecast.jobs import Job
from schedules.forecast.outcomes import Outcome, Scope

#: In the order in which they matter. ``late``: given up; ``queue``: waits for a slot; ``overlap``: skipped, an earlier
#: run is active; ``cancelled``: replaced by a later one; ``meet``: two at work on one agent; ``blackout``; ``limit``:
#: past the maximum of runs.
FindingKind = Literal["late", "queue", "overlap", "cancelled", "meet", "blackout", "limit"]

KINDS: tuple[FindingKind, ...] = ("late", "queue", "overlap", "cancelled", "meet", "blackout", "limit")
NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One job, one thing that happens to it, ``count`` times, first at ``first``. A meeting is of both.

    ``others`` are up to three names, the most frequent first, and ``more`` says how many further ones there are: of
    whom it waits for, meets, is cancelled by, or of the blackouts. Of a queue: the ``scope`` that is full with its
    ``limit``, the ``longest`` wait, and how many of the runs are ``still_waiting`` at the end.
    """

    kind: FindingKind
    job: Job
    count: int
    first: datetime
    others: tuple[str, ...] = ()
    more: int = 0
    scope: Scope | None = None
    limit: int | None = None
    longest: timedelta = timedelta()
    still_waiting: int = 0


@dataclass(kw_only=True)
class _Group:
    job: Job
    first: datetime
    count: int = 0
    scope: Scope | None = None
    limit: int | None = None
    longest: timedelta = timedelta()
    still_waiting: int = 0
    others: Counter[str] = field(default_factory=Counter)


class Findings:
    """Collects them from outcomes."""

    def __init__(self, until: datetime) -> None:
        self._until = until
        self._groups: dict[tuple[FindingKind, int, str], _Group] = {}

    def add(self, outcome: Outcome) -> None:
        if outcome.kind == "cancelled":
            self._note("cancelled", outcome, (outcome.text,))
        elif outcome.kind == "blackout":
            self._note("blackout", outcome, (outcome.text,))
        elif outcome.kind in ("late", "overlap", "limit"):
            self._note(outcome.kind, outcome)
        if outcome.wait is not None and outcome.kind != "late":
            self._note_wait(outcome)
        for name in outcome.beside:
            self._note_meeting(outcome, name)

    def all(self) -> Iterator[Finding]:
        """In the order in which they matter, the most frequent of a kind first."""
        ordered = sorted(
            self._groups.items(), key=lambda each: (KINDS.index(each[0][0]), -each[1].count, each[1].job.name, each[0])
        )
        for (kind, _, _), group in ordered:
            yield Finding(
                kind=kind,
                job=group.job,
                count=group.count,
                first=group.first,
                others=_most_frequent(group.others),
                more=max(0, len(group.others) - NAMED),
                scope=group.scope,
                limit=group.limit,
                longest=group.longest,
                still_waiting=group.still_waiting,
            )

    def _note(self, kind: FindingKind, outcome: Outcome, others: tuple[str, ...] = (), *, apart: str = "") -> _Group:
        group = self._group((kind, outcome.job.key, apart), outcome, outcome.fire or outcome.due)
        group.others.update(others)
        return group

    def _note_meeting(self, outcome: Outcome, name: str) -> None:
        """One group for the two, whichever of them started while the other was at work."""
        pair = sorted((outcome.job.name, name))
        group = self._group(("meet", outcome.job.agent or 0, "\n".join(pair)), outcome, outcome.started or outcome.due)
        if not group.others:
            group.others.update([name])

    def _group(self, key: tuple[FindingKind, int, str], outcome: Outcome, moment: datetime) -> _Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(job=outcome.job, first=moment)
        group.count += 1
        group.first = min(group.first, moment)
        return group

    def _note_wait(self, outcome: Outcome) -> None:
        wait = outcome.wait
        assert wait is not None  # noqa: S101 - the caller looked
        group = self._note("queue", outcome, wait.behind, apart=wait.scope)
        group.scope, group.limit = wait.scope, wait.limit
        until = outcome.started or outcome.ended or self._until
        group.longest = max(group.longest, until - outcome.due)
        group.still_waiting += outcome.kind == "waiting"


def _most_frequent(names: Counter[str]) -> tuple[str, ...]:
    ordered = sorted(names.items(), key=lambda each: (-each[1], each[0]))
    return tuple(name for name, _ in ordered[:NAMED])
