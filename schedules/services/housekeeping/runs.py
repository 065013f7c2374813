"""Pruning runs, with their events and logs, and the skip spans around them.

The ledger stays true: what it held of the removed fires becomes one span, ``pruned``, which grows from the oldest
fire on and never beyond the planned cursor. So every fire is covered at any moment, none is planned again, and
whoever asks is told that its record is no longer kept. Each step is one short transaction on the locked schedule;
one that somebody edits or plans at that moment waits for the next time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery

from schedules.engine.pausing import runs_judged
from schedules.models import Run, Schedule, SkipSpan
from schedules.querysets import ACTIVE
from schedules.services.housekeeping.budget import BATCH, Budget

# Schedules are looked at so many at a time.
CHUNK = 500
# The logs of a batch are removed with it: about so much at once.
BATCH_BYTES = 20_000_000


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
class Step:
    """What one transaction removed, and whether it was a full batch."""

    runs: int = 0
    fires: int = 0
    more: bool = False


@dataclass(frozen=True, kw_only=True)
class _Record:
    """One record of the ledger: a run or a skip span. ``may_go`` is the verdict on it alone, ``fits`` whether it goes
    in this step."""

    first: datetime
    last: datetime
    count: int
    may_go: bool
    fits: bool
    row: Run | SkipSpan


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    """Of one schedule: what was done before ``before`` is old, what was created before ``keep`` is not its newest."""

    before: datetime
    keep: datetime | None
    protected: frozenset[int]

    def lets_go(self, run: Run) -> bool:
        ended = run.is_over and run.finished_at is not None and run.finished_at < self.before
        newest = self.keep is None or run.created_at >= self.keep
        return ended and not newest and run.pk not in self.protected


def runs_prune(terms: Terms, budget: Budget) -> dict[str, int]:
    """Remove what may go, oldest first within each schedule. Returns how many runs and fires that were."""
    runs = fires = 0
    for step in _steps(terms, budget):
        runs, fires = runs + step.runs, fires + step.fires
        budget.pause()
    return {"runs": runs, "fires": fires}


def _steps(terms: Terms, budget: Budget) -> Iterator[Step]:
    for schedule_id in _candidates(terms, budget):
        more = True
        while more and budget.goes_on():
            yield (step := prune_step(schedule_id, terms))
            more = step.more
    more = True
    while more and budget.goes_on():
        yield (step := _prune_orphans(terms))
        more = step.more


def _candidates(terms: Terms, budget: Budget) -> Iterator[int]:
    """Schedules that may have something to remove, found without a lock."""
    last = 0
    while budget.goes_on():
        rows = list(_looked_at(terms).filter(pk__gt=last)[:CHUNK])
        if not rows:
            return
        for pk, oldest, keep, most, has_old_span in rows:
            before = max(filter(None, (terms.cutoff, most)))
            if has_old_span or (oldest and keep and oldest < min(before, keep)):
                yield pk
        last = rows[-1][0]


def _looked_at(terms: Terms) -> QuerySet[Schedule, tuple[int, datetime, datetime, datetime, bool]]:
    mine = Run.objects.filter(schedule=OuterRef("pk"))
    old = _kept_spans().filter(schedule=OuterRef("pk"), last_fire_at__lt=terms.cutoff)
    rows = Schedule.objects.order_by("pk").annotate(
        oldest=Subquery(mine.order_by("created_at").values("created_at")[:1]),
        keep=Subquery(_nth_newest(mine, terms.keep)),
        most=Subquery(_nth_newest(mine, terms.most)),
        has_old_span=Exists(old),
    )
    return rows.values_list("pk", "oldest", "keep", "most", "has_old_span")


def _nth_newest(runs: QuerySet[Run], nth: int) -> QuerySet[Run, datetime]:
    return runs.order_by("-created_at").values_list("created_at", flat=True)[nth - 1 : nth]


def _kept_spans() -> QuerySet[SkipSpan]:
    return SkipSpan.objects.exclude(reason=SkipSpan.Reason.PRUNED)


@transaction.atomic
def prune_step(schedule_id: int, terms: Terms) -> Step:
    """Remove the oldest records of one schedule that may go, as many as a batch holds."""
    free = Schedule.objects.filter(pk=schedule_id).select_for_update(no_key=True, skip_locked=True)
    schedule = free.first()
    if schedule is None:
        return Step()
    bounds = _bounds(schedule, terms)
    able = list(takewhile(lambda record: record.may_go, _oldest(schedule, bounds, terms)))
    records = list(takewhile(lambda record: record.fits, able))
    others = list(_fitting(_other_runs(schedule, bounds)[: terms.batch]))
    _cover(schedule, records)
    SkipSpan.objects.filter(pk__in=[each.row.pk for each in records if isinstance(each.row, SkipSpan)]).delete()
    runs = [each.row.pk for each in records if isinstance(each.row, Run)] + [run.pk for run, fits in others if fits]
    _delete(runs)
    more = len(able) > len(records) or terms.batch in {len(able), len(others)} or not all(fits for _, fits in others)
    return Step(runs=len(runs), fires=sum(each.count for each in records), more=more)


def _bounds(schedule: Schedule, terms: Terms) -> _Bounds:
    mine = Run.objects.filter(schedule=schedule)
    most = _nth_newest(mine, terms.most).first()
    failures = schedule.pause_after_failures or 0
    return _Bounds(
        before=max(filter(None, (terms.cutoff, most))),
        keep=_nth_newest(mine, terms.keep).first(),
        protected=frozenset(runs_judged(schedule).values_list("pk", flat=True)[:failures]),
    )


def _oldest(schedule: Schedule, bounds: _Bounds, terms: Terms) -> list[_Record]:
    """The first records of the ledger that are still kept, in the order of their fires: a batch of them."""
    # Planning goes forward, so runs are created in the order of their fires; the index gives them so.
    planned = Run.objects.filter(schedule=schedule, trigger=Run.Trigger.SCHEDULE, fire_at__isnull=False)
    runs = planned.order_by("created_at", "pk")[: terms.batch]
    spans = _kept_spans().filter(schedule=schedule).order_by("first_fire_at")[: terms.batch]
    found = [_of_run(run, schedule, bounds, fits) for run, fits in _fitting(runs)]
    found += [_of_span(span, bounds) for span in spans]
    return sorted(found, key=lambda record: record.first)[: terms.batch]


def _of_run(run: Run, schedule: Schedule, bounds: _Bounds, fits: bool) -> _Record:  # noqa: FBT001 - of one pair
    fire = run.fire_at or run.created_at
    may_go = bounds.lets_go(run) and fire <= schedule.planned_through
    return _Record(first=fire, last=fire, count=1, may_go=may_go, fits=fits, row=run)


def _of_span(span: SkipSpan, bounds: _Bounds) -> _Record:
    last = span.last_fire_at or span.first_fire_at
    may_go = span.last_fire_at is not None and last < bounds.before
    return _Record(first=span.first_fire_at, last=last, count=span.count or 0, may_go=may_go, fits=True, row=span)


def _fitting(runs: QuerySet[Run]) -> Iterator[tuple[Run, bool]]:
    """Each with whether its log can still be removed in one transaction; the first one always."""
    size = 0
    for run in runs.defer("payload", "result"):
        fits = size == 0 or size + run.log_bytes <= BATCH_BYTES
        size += run.log_bytes
        yield run, fits


def _other_runs(schedule: Schedule, bounds: _Bounds) -> QuerySet[Run]:
    """Runs by hand, retries, backfills, followers: no part of the ledger."""
    if bounds.keep is None:
        return Run.objects.none()
    old = Run.objects.filter(schedule=schedule, created_at__lt=bounds.keep, finished_at__lt=bounds.before)
    loose = old.exclude(trigger=Run.Trigger.SCHEDULE).exclude(status__in=ACTIVE)
    return loose.exclude(pk__in=bounds.protected).order_by("created_at")


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
    rows = _fitting(old.exclude(status__in=ACTIVE).order_by("created_at")[: terms.batch])
    runs = [run.pk for run, fits in rows if fits]
    _delete(runs)
    return Step(runs=len(runs), more=len(runs) > 0)


def _delete(runs: Sequence[int]) -> None:
    if runs:
        Run.objects.filter(pk__in=runs).delete()
