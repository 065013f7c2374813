"""What the database says in the end, gathered for the judge, and what the logs complain of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.fires import Coverage, Span, cover, fires_between
from tests.chaos.world import MANUAL

_LOCKED = "database is locked"
_STAMP = re.compile(r"^\[?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})")


@dataclass(kw_only=True)
class Evidence:
    """The end of all, as the database tells it."""

    runs: int = 0
    planned: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    #: The runs that succeeded, and when, in seconds since the epoch.
    succeeded: dict[str, float] = field(default_factory=dict)
    #: Those of them whose executor writes to the witness.
    witnessed: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    active: list[str] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    #: How many runs were claimed in the same step in which the worker's former one ended.
    chained: int = 0


def gather(begins: dict[str, datetime]) -> Evidence:
    """``begins``: through when each schedule was planned when it was made."""
    from schedules.models import Run, RunEvent, Schedule

    found = Evidence()
    for run in Run.objects.all():
        found.runs += 1
        found.known.add(run.job_run_id)
        found.statuses[run.status] += 1
        found.planned += run.trigger == Run.Trigger.SCHEDULE
        if not run.is_over:
            found.active.append(f"{run.job_run_id}: {run.status}, attempt {run.attempt}, {run.error_code}")
        if run.status == Run.Status.SUCCESS and run.finished_at:
            found.succeeded[run.job_run_id] = run.finished_at.timestamp()
            if run.executor.startswith("chaos."):
                found.witnessed.add(run.job_run_id)
    ends = set(RunEvent.objects.filter(kind="success").values_list("at", flat=True))
    found.chained = sum(at in ends for at in RunEvent.objects.filter(kind="started").values_list("at", flat=True))
    found.events.update(RunEvent.objects.values_list("kind", flat=True))
    found.coverage = [_covered(schedule, begins[schedule.name]) for schedule in Schedule.objects.exclude(kind="manual")]
    return found


def begins_of_schedules() -> dict[str, datetime]:
    from schedules.models import Schedule

    return {schedule.name: schedule.planned_through for schedule in Schedule.objects.exclude(expression=MANUAL)}


def _covered(schedule: object, begin: datetime) -> Coverage:
    from schedules.models import Run, Schedule, SkipSpan
    from schedules.services.ledger import ledger_audit

    assert isinstance(schedule, Schedule)
    end = schedule.planned_through
    expected = fires_between(schedule.expression, schedule.anchor_at, begin, end)
    runs = Run.objects.filter(schedule=schedule, trigger=Run.Trigger.SCHEDULE)
    spans = SkipSpan.objects.filter(schedule=schedule).exclude(last_fire_at=None)
    found = cover(
        schedule.name,
        expected,
        [run.fire_at for run in runs if run.fire_at],
        [Span(first=span.first_fire_at, last=_last(span), count=span.count or 0) for span in spans],
    )
    audit = ledger_audit(schedule, after=begin, through=end)
    found.lost += [f"{schedule.name}: the ledger has a hole at {fire}" for fire in audit.holes]
    found.twice += [f"{schedule.name}: the ledger doubts {fire}" for fire in (*audit.doubles, *audit.strays)]
    return found


def _last(span: object) -> datetime:
    last = getattr(span, "last_fire_at")  # noqa: B009 - closed spans only
    assert isinstance(last, datetime)
    return last


@dataclass(frozen=True, kw_only=True)
class Complaints:
    """Lines of the logs that say "database is locked": those that count, and those while a process was stopped by
    us, which may have stopped it in the middle of a write."""

    locked: Sequence[str]
    locked_while_frozen: int
    failures: Counter[str]


def complaints(folder: Path, frozen: Iterable[tuple[float, float]]) -> Complaints:
    windows = [(begin, end + 21) for begin, end in frozen]
    locked: list[str] = []
    excused, failures = 0, Counter[str]()
    for path in sorted(folder.glob("*.log")):
        at = 0.0
        for line in path.read_text(errors="replace").splitlines():
            if stamp := _STAMP.match(line):
                at = datetime.strptime(stamp[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
            if _LOCKED in line:
                if any(begin <= at <= end for begin, end in windows):
                    excused += 1
                else:
                    locked.append(f"{path.name}: {line[:160]}")
            if re.search(r" (ERROR|CRITICAL) |: (ERROR|CRITICAL)/", line):
                failures[f"{path.stem}: {re.sub(r'[0-9a-f-]{8,}|[0-9]+', '#', line)[20:150]}"] += 1
    return Complaints(locked=locked, locked_while_frozen=excused, failures=failures)
