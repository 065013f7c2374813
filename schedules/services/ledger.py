"""The ledger, read: what became of each expected fire, and whether every one is covered exactly once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Q, QuerySet

from schedules import timing
from schedules.engine.course import expected_rule
from schedules.models import Run, Schedule, ScheduleRevision, SkipSpan

_MOMENT = timedelta(microseconds=1)
# Reading the ledger fire by fire stops here: a year of a minutely schedule is half a million.
MOST_FIRES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record: ``count`` fires from ``first`` to ``last``. ``run`` is the run that a fire became, else ``span``.

    ``reason``: ``ran`` for a run however it ended, else the span's. An open span counts what it covers until now.
    """

    first: datetime
    last: datetime
    count: int
    reason: str
    run: Run | None = None
    span: SkipSpan | None = None


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Expected fires that no record covers, that several cover, and records of fires that nobody expected."""

    expected: int
    holes: Sequence[datetime]
    doubles: Sequence[datetime]
    strays: Sequence[datetime]

    @property
    def is_clean(self) -> bool:
        return not (self.holes or self.doubles or self.strays)


def ledger_entries(schedule: Schedule, *, after: datetime, through: datetime, limit: int = 1000) -> list[Entry]:
    """The records of the fires of (``after``, ``through``], the latest first, at most ``limit``."""
    runs = _runs(schedule, after, through).order_by("-fire_at")[:limit]
    spans = _spans(schedule, after, through).order_by("-first_fire_at")[:limit]
    found = [_of_run(run) for run in runs] + [_of_span(schedule, span, through) for span in spans]
    return sorted(found, key=lambda entry: entry.first, reverse=True)[:limit]


def entry_of(schedule: Schedule, fire: datetime) -> Entry | None:
    """What became of this fire; None when that is still open."""
    entries = ledger_entries(schedule, after=fire - _MOMENT, through=fire)
    return entries[0] if entries else None


def ledger_audit(schedule: Schedule, *, after: datetime, through: datetime) -> Audit:
    """Check the fires of (``after``, ``through``], as far as they were planned, each against its records."""
    is_open = SkipSpan.objects.filter(schedule=schedule, last_fire_at=None).exists()
    through = through if is_open else min(through, schedule.planned_through)
    if first := ScheduleRevision.objects.filter(schedule=schedule).order_by("since").first():
        # What was recorded before timings were kept (an older version of Watchbill) can't be judged by one.
        after = max(after, first.since)
    ran = _runs(schedule, after, through).order_by().values_list("fire_at", flat=True)
    runs = [fire for fire in ran if fire]
    spans = list(_spans(schedule, after, through))
    fires = list(islice(expected_fires(schedule, after=after, through=through), MOST_FIRES))
    times = _times_covered(fires, runs, spans)
    return Audit(
        expected=len(fires),
        holes=[fire for fire, records in times.items() if records == 0],
        doubles=[fire for fire, records in times.items() if records > 1],
        strays=[fire for fire in runs if fire not in times] + _miscounted(spans, fires, after, through),
    )


def _times_covered(
    fires: Sequence[datetime], runs: Sequence[datetime], spans: Sequence[SkipSpan]
) -> dict[datetime, int]:
    """By how many records each fire is covered. Spans are counted by their ends, not walked for every fire."""
    ran = Counter(runs)
    begins = sorted(span.first_fire_at for span in spans)
    ends = sorted(span.last_fire_at for span in spans if span.last_fire_at)
    return {fire: ran[fire] + bisect_right(begins, fire) - bisect_left(ends, fire) for fire in fires}


def _miscounted(
    spans: Sequence[SkipSpan], fires: Sequence[datetime], after: datetime, through: datetime
) -> list[datetime]:
    """Spans that lie wholly in the window and count something else than the fires they cover."""
    return [
        span.first_fire_at
        for span in spans
        if span.last_fire_at
        and span.first_fire_at > after
        and span.last_fire_at <= through
        and span.count != bisect_right(fires, span.last_fire_at) - bisect_left(fires, span.first_fire_at)
    ]


def expected_fires(schedule: Schedule, *, after: datetime, through: datetime) -> Iterator[datetime]:
    """The fires of (``after``, ``through``] that the schedule expected, by its timing of each time; oldest first."""
    for rule, begin, end in _rules(schedule, after, through):
        yield from rule.fires(begin, end)


def expected_count(schedule: Schedule, *, after: datetime, through: datetime) -> int:
    """How many :func:`expected_fires` are, without walking them."""
    return sum(rule.count(begin, end) for rule, begin, end in _rules(schedule, after, through))


def _rules(schedule: Schedule, after: datetime, through: datetime) -> Iterator[tuple[timing.Rule, datetime, datetime]]:
    """The rules that held in (``after``, ``through``], each with its part of it."""
    revisions = list(ScheduleRevision.objects.filter(schedule=schedule).order_by("since"))
    ends = [revision.since for revision in revisions[1:]] + [through]
    for revision, end in zip(revisions, ends, strict=True):
        begin, stop = max(after, revision.since), min(through, end)
        if stop > begin:
            yield expected_rule(revision), begin, stop


def fire_before(schedule: Schedule, moment: datetime) -> datetime | None:
    """The last expected fire at or before this instant."""
    end = moment
    for revision in ScheduleRevision.objects.filter(schedule=schedule, since__lt=moment).order_by("-since"):
        if last := expected_rule(revision).last(revision.since, end):
            return last
        end = revision.since
    return None


def fire_after(schedule: Schedule, moment: datetime) -> datetime | None:
    """The first expected fire later than this instant, by the timing of that time."""
    revisions = list(ScheduleRevision.objects.filter(schedule=schedule).order_by("since"))
    for revision, following in zip(revisions, [*revisions[1:], None], strict=True):
        fire = expected_rule(revision).next_after(max(moment, revision.since))
        if fire and (following is None or fire <= following.since):
            return fire
    return None


def _runs(schedule: Schedule, after: datetime, through: datetime) -> QuerySet[Run]:
    return Run.objects.filter(schedule=schedule, trigger=Run.Trigger.SCHEDULE, fire_at__gt=after, fire_at__lte=through)


def _spans(schedule: Schedule, after: datetime, through: datetime) -> QuerySet[SkipSpan]:
    reaches = Q(last_fire_at=None) | Q(last_fire_at__gt=after)
    return SkipSpan.objects.filter(reaches, schedule=schedule, first_fire_at__lte=through)


def _of_run(run: Run) -> Entry:
    assert run.fire_at is not None  # noqa: S101 - filtered by it
    return Entry(first=run.fire_at, last=run.fire_at, count=1, reason="ran", run=run)


def _of_span(schedule: Schedule, span: SkipSpan, through: datetime) -> Entry:
    if span.last_fire_at is not None and span.count is not None:
        return Entry(first=span.first_fire_at, last=span.last_fire_at, count=span.count, reason=span.reason, span=span)
    rule, before = expected_rule(schedule), span.first_fire_at - _MOMENT
    last = rule.last(before, through) or span.first_fire_at
    return Entry(first=span.first_fire_at, last=last, count=rule.count(before, through), reason=span.reason, span=span)
