"""Pruning runs, with their events and logs, and the skip spans around them.

The ledger stays true: what it held of the removed fires becomes one span, ``pruned``, which grows from the oldest
fire on and never beyond the planned cursor. So every fire is covered at any moment, none is planned again, and
whoever asks is told that its record is no longer kept. Each step is one short transaction on a few locked schedules;
one that somebody edits or plans at that moment waits for the next time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile

from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from schedules.engine.pausing import runs_judged
from schedules.models import Run, Schedule, SkipSpan
from schedules.querysets import ACTIVE
from schedules.services.housekeeping.budget import BATCH, Budget

# Schedules are looked at so many at a time, and so many of those with something to remove are locked together.
CHUNK, GROUP = 500, 50
# The logs of a batch are removed with it: about so much at once.
BATCH_BYTES = 20_000_000
_READ = ("schedule_id", "trigger", "status", "fire_at", "created_at", "finished_at", "log_bytes")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What may go: runs that ended more than ``days`` ago or are beyond the newest ``most`` of their schedule; never
    one of its newest ``keep``. ``batch``: how many records a transaction removes."""

    now: datetime
    days: int
    keep: int
    most: int
    batch: int = BATCH

    @property
    def cutoff(self) -> datetime:
        return self.now - timedelta(days=self.days)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A schedule with something to remove: what was done before ``before`` is old, what was created before ``keep`` is
    not its newest. Read without a lock: what comes later only moves both forward."""

    pk: int
    before: datetime
    keep: datetime | None
    has_spans: bool

    def lets_go(self, run: Run) -> bool:
        ended = run.is_over and run.finished_at is not None and run.finished_at < self.before
        return ended and self.keep is not None and run.created_at < self.keep


@dataclass(frozen=True, kw_only=True)
class _Record:
    """One record of the ledger, a run or a skip span. ``may_go`` is the verdict on it alone."""

    first: datetime
    last: datetime
    count: int
    may_go: bool
    row: Run | SkipSpan


@dataclass(kw_only=True)
class Step:
    """What one transaction removes, and the schedules that it had no room for."""

    room: int
    runs: list[int] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)
    fires: int = 0
    bytes: int = 0
    left: list[Candidate] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.runs) + len(self.spans) >= self.room or self.bytes >= BATCH_BYTES

    def add(self, row: Run | SkipSpan) -> None:
        if isinstance(row, Run):
            self.runs.append(row.pk)
            self.bytes += row.log_bytes
        else:
            self.spans.append(row.pk)


def runs_prune(terms: Terms, budget: Budget) -> dict[str, int]:
    """Remove what may go, oldest first within each schedule. Returns how many runs and fires that were."""
    runs = fires = 0
    for step in _steps(terms, budget):
        runs, fires = runs + len(step.runs), fires + step.fires
        budget.pause()
    return {"runs": runs, "fires": fires}


def _steps(terms: Terms, budget: Budget) -> Iterator[Step]:
    for group in _grouped(candidates(terms, budget)):
        left = group
        while left and budget.goes_on():
            yield (step := prune_step(left, terms))
            left = step.left
    while budget.goes_on() and (step := _prune_orphans(terms)).runs:
        yield step


def _grouped(found: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    group: list[Candidate] = []
    for each in found:
        group.append(each)
        if len(group) == GROUP:
            yield group
            group = []
    yield group


def candidates(terms: Terms, budget: Budget) -> Iterator[Candidate]:
    """Schedules that may have something to remove, found without a lock."""
    last = 0
    while budget.goes_on():
        rows = list(_looked_at(terms).filter(pk__gt=last)[:CHUNK])
        if not rows:
            return
        for pk, oldest, keep, most, span in rows:
            before = max(filter(None, (terms.cutoff, most)))
            if (span and span < before) or (oldest and keep and oldest < min(before, keep)):
                yield Candidate(pk=pk, before=before, keep=keep, has_spans=span is not None)
        last = rows[-1][0]


def _looked_at(terms: Terms) -> QuerySet[Schedule, tuple[int, datetime, datetime, datetime, datetime]]:
    mine = Run.objects.filter(schedule=OuterRef("pk"))
    spans = _kept_spans().filter(schedule=OuterRef("pk"), last_fire_at__isnull=False).order_by("first_fire_at")
    rows = Schedule.objects.order_by("pk").annotate(
        oldest=Subquery(mine.order_by("created_at").values("created_at")[:1]),
        keep=Subquery(_nth_newest(mine, terms.keep)),
        most=Subquery(_nth_newest(mine, terms.most)),
        span=Subquery(spans.values("last_fire_at")[:1]),
    )
    return rows.values_list("pk", "oldest", "keep", "most", "span")


def _nth_newest(runs: QuerySet[Run], nth: int) -> QuerySet[Run, datetime]:
    return runs.order_by("-created_at").values_list("created_at", flat=True)[nth - 1 : nth]


def _kept_spans() -> QuerySet[SkipSpan]:
    return SkipSpan.objects.exclude(reason=SkipSpan.Reason.PRUNED)


@transaction.atomic
def prune_step(group: Sequence[Candidate], terms: Terms) -> Step:
    """Remove the oldest records of these schedules that may go, as many as a batch holds."""
    rows = Schedule.objects.filter(pk__in=[each.pk for each in group]).order_by("pk")
    free = {row.pk: row for row in rows.select_for_update(no_key=True, skip_locked=True)}
    step = Step(room=terms.batch)
    for candidate in group:
        if candidate.pk in free and _take(free[candidate.pk], candidate, step):
            step.left.append(candidate)
    _remove(step)
    return step


def _take(schedule: Schedule, candidate: Candidate, step: Step) -> bool:
    """Add to the step what goes of one schedule. Returns whether there may be more."""
    if step.is_full:
        return True
    room = step.room - len(step.runs) - len(step.spans)
    protected = _protected(schedule)
    runs = list(_oldest_runs(candidate)[:room])
    spans = list(
        _kept_spans().filter(schedule=schedule).order_by("first_fire_at")[:room] if candidate.has_spans else ()
    )
    planned, others = _told_apart(runs)
    found = [_of_run(run, schedule, candidate, protected) for run in planned]
    found += [_of_span(span, candidate) for span in spans]
    first = sorted(found, key=lambda record: record.first)[:room]
    gone: list[_Record] = []
    for record in takewhile(lambda record: record.may_go and not step.is_full, first):
        step.add(record.row)
        gone.append(record)
    taken = _add_loose([run for run in others if candidate.lets_go(run) and run.pk not in protected], step)
    _cover(schedule, gone)
    step.fires += sum(record.count for record in gone)
    return _may_be_more(first[len(gone) :], went=len(gone) + taken, looked_at_all=room not in {len(runs), len(spans)})


def _add_loose(runs: Sequence[Run], step: Step) -> int:
    taken = 0
    for run in runs:
        if not step.is_full:
            step.add(run)
            taken += 1
    return taken


def _may_be_more(stayed: Sequence[_Record], *, went: int, looked_at_all: bool) -> bool:
    """Not when what stayed has to stay, or when all was seen."""
    if stayed:
        return stayed[0].may_go
    return went > 0 and not looked_at_all


def _protected(schedule: Schedule) -> frozenset[int]:
    """The failures that may still pause it."""
    limit = schedule.pause_after_failures
    return frozenset(runs_judged(schedule).values_list("pk", flat=True)[:limit]) if limit else frozenset()


def _oldest_runs(candidate: Candidate) -> QuerySet[Run]:
    """Planned ones whatever their state, since the ledger goes in order; of the others those that may go."""
    # Planning goes forward, so runs are created in the order of their fires; the index gives them so.
    loose = Q(finished_at__lt=candidate.before) & ~Q(status__in=ACTIVE)
    runs = Run.objects.filter(Q(trigger=Run.Trigger.SCHEDULE) | loose, schedule=candidate.pk)
    if candidate.keep is not None:
        runs = runs.filter(Q(trigger=Run.Trigger.SCHEDULE) | Q(created_at__lt=candidate.keep))
    return runs.only(*_READ).order_by("created_at", "pk")


def _told_apart(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs of the ledger; those by hand, retries, backfills and followers, which are no part of it."""
    planned = [run for run in runs if run.trigger == Run.Trigger.SCHEDULE and run.fire_at]
    known = {run.pk for run in planned}
    return planned, [run for run in runs if run.pk not in known]


def _of_run(run: Run, schedule: Schedule, candidate: Candidate, protected: frozenset[int]) -> _Record:
    fire = run.fire_at or run.created_at
    may_go = candidate.lets_go(run) and run.pk not in protected and fire <= schedule.planned_through
    return _Record(first=fire, last=fire, count=1, may_go=may_go, row=run)


def _of_span(span: SkipSpan, candidate: Candidate) -> _Record:
    last = span.last_fire_at or span.first_fire_at
    may_go = span.last_fire_at is not None and last < candidate.before
    return _Record(first=span.first_fire_at, last=last, count=span.count or 0, may_go=may_go, row=span)


def _cover(schedule: Schedule, records: Sequence[_Record]) -> None:
    """Let the schedule's span of what is no longer kept cover these records too."""
    if not records:
        return
    count, last = sum(each.count for each in records), max(each.last for each in records)
    mine = SkipSpan.objects.filter(schedule=schedule, reason=SkipSpan.Reason.PRUNED)
    if mine.update(count=F("count") + count, last_fire_at=last):
        return
    # Its place is where the first of them stands, which goes in this transaction.
    first = records[0].first
    SkipSpan.objects.filter(schedule=schedule, first_fire_at=first).delete()
    SkipSpan.objects.create(
        schedule=schedule, reason=SkipSpan.Reason.PRUNED, first_fire_at=first, last_fire_at=last, count=count
    )


@transaction.atomic
def _prune_orphans(terms: Terms) -> Step:
    """Runs whose schedule was deleted: by age alone."""
    old = Run.objects.filter(schedule=None, created_at__lt=terms.cutoff, finished_at__lt=terms.cutoff)
    step = Step(room=terms.batch)
    for run in old.exclude(status__in=ACTIVE).only(*_READ).order_by("created_at")[: terms.batch]:
        if not step.is_full:
            step.add(run)
    _remove(step)
    return step


def _remove(step: Step) -> None:
    if step.spans:
        SkipSpan.objects.filter(pk__in=step.spans).delete()
    if step.runs:
        Run.objects.filter(pk__in=step.runs).delete()
