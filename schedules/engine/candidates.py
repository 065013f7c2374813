"""Who waits for slots, in fair order: the read side of admission.

Of the organisations that have a run waiting the one with the fewest slots goes first, so that a flood of one never
stands before another's single run; inside an organisation priority counts, which grows with waiting. What is at its
limit already is left out before anything is asked for, so that it can't hide what could start.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from schedules.engine import candidates_sql as sql
from schedules.engine.statements import fetch, is_postgresql, moment_of
from schedules.models import Run

# Of one organisation in one pass: so many of the oldest, and so many of the most urgent. A few sizes, since each is a
# statement of its own to the database.
_HALVES = (2, 4, 10, 25)
# So many are asked for together: one statement on PostgreSQL, so many on SQLite.
ORGANISATIONS = 64
AGEING = timedelta(minutes=1)


class Candidate(NamedTuple):
    """A run as far as admission looks at it, with all that limits it."""

    pk: int
    job_run_id: str
    attempt: int
    priority: int
    next_attempt_at: datetime
    start_by: datetime | None
    queue: str
    executor: str
    schedule_name: str
    hold: str
    grace_seconds: int
    #: What a lost attempt left has to be ended first; until then the run keeps its slots.
    handle: bool
    organisation_id: int
    organisation_limit: int
    schedule_id: int | None
    schedule_limit: int | None
    backfill_id: int | None
    backfill_limit: int | None
    agent_id: int | None
    agent_limit: int | None

    @property
    def is_recovery(self) -> bool:
        return self.hold == Run.Hold.RECOVERY

    @property
    def is_alone(self) -> bool:
        return self.hold != Run.Hold.SHARED

    def urgency(self, now: datetime) -> float:
        """Priority plus one for each minute of waiting: urgent goes first, patient is not forgotten."""
        return self.priority + (now - self.next_attempt_at) / AGEING


def _candidate(row: Sequence[Any]) -> Candidate:
    run = Candidate._make(row)
    start_by = moment_of(run.start_by) if run.start_by else None
    return run._replace(next_attempt_at=moment_of(run.next_attempt_at), start_by=start_by, handle=bool(run.handle))


def candidate(run_id: int) -> Candidate | None:
    """This run, when it waits."""
    return next(map(_candidate, fetch(sql.ONE, [run_id])), None)


def all_held() -> list[Candidate]:
    """Every run that holds slots, with its limits."""
    return [_candidate(row) for row in fetch(sql.ALL_HELD)]


@dataclass(frozen=True, kw_only=True)
class Lane:
    """An organisation with runs that wait: its limit, and since when the oldest of them does."""

    organisation_id: int
    limit: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker as it reported itself last."""

    queues: Sequence[str]
    slots: int
    seen_at: datetime


@dataclass(kw_only=True)
class Outlook:
    """Who waits, who holds slots (by organisation), how many messages are out (by queue), and which workers there are,
    as the database says at one instant."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    lanes: list[Lane] = field(default_factory=list)
    held: Counter[int] = field(default_factory=Counter)
    out: Counter[str] = field(default_factory=Counter)
    workers: list[Worker] = field(default_factory=list)


def outlook(now: datetime | None, *, count_messages: bool = False) -> Outlook:
    """What admission has to know first. Without ``now`` the database's clock is read (``clock.statement_now``).

    When nobody waits, nothing is counted; ``count_messages``: those that are out are, all the same.
    """
    found = Outlook()
    statement = sql.OUTLOOK.replace("{counted}", sql.ALWAYS if count_messages else sql.IF_NEEDED)
    for kind, organisation, number, text, moment in fetch(statement, [now]):
        if kind == "clock":
            found.now = moment_of(moment)
        elif kind == "lane":
            found.lanes.append(Lane(organisation_id=organisation, limit=number, since=moment_of(moment)))
        elif kind == "held":
            found.held[organisation] = number
        elif kind == "out":
            found.out[text] = number
        else:
            found.workers.append(Worker(queues=json.loads(text), slots=number, seen_at=moment_of(moment)))
    return found


def candidates(seen: Outlook, lanes: Sequence[Lane], *, room: int, full: Iterable[str] = ()) -> list[Candidate]:
    """Of these lanes the runs that may start, in fair order, none of a queue that is full.

    A bounded number of each organisation: of all of them somewhat more than the ``room`` that there is.
    """
    asked = [lane.organisation_id for lane in lanes]
    half = _half(room, len(asked))
    known = [seen.now, f",{','.join(full)},"]
    if is_postgresql():
        rows = fetch(sql.LANES_OF_ALL.replace("{half}", half), [*known, asked])
    else:
        rows = fetch(sql.SPECIAL.replace("{half}", half), known)
        for organisation in asked:
            rows += fetch(sql.LANE_OF_ONE.replace("{half}", half), [*known, organisation, organisation])
    found = {run.pk: run for run in map(_candidate, rows)}
    return fair(found.values(), seen.held, seen.now)


def _half(room: int, lanes: int) -> str:
    wanted = 2 * room / max(1, lanes)
    return str(next((size for size in _HALVES if size >= wanted), _HALVES[-1]))


def turns(seen: Outlook) -> Iterator[list[Lane]]:
    """Those with room, the fewest slots first, then the longest waiting; so many at a time.

    There is always a first turn, maybe of nobody: recoveries pass the limits of organisations.
    """
    able = [lane for lane in seen.lanes if seen.held[lane.organisation_id] < lane.limit]
    able.sort(key=lambda lane: (seen.held[lane.organisation_id], lane.since))
    for start in range(0, max(1, len(able)), ORGANISATIONS):
        yield able[start : start + ORGANISATIONS]


def fair(runs: Iterable[Candidate], holds: Counter[int], now: datetime) -> list[Candidate]:
    """Recoveries first; then by how many slots the organisation would have with this run, then by urgency."""
    turns, keyed = Counter(holds), []
    for run in sorted(runs, key=lambda run: (-run.urgency(now), run.next_attempt_at, run.pk)):
        turns[run.organisation_id] += 1
        keyed.append(((not run.is_recovery, turns[run.organisation_id], -run.urgency(now)), run))
    return [run for _, run in sorted(keyed, key=itemgetter(0))]
