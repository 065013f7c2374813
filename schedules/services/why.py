"""Why a schedule ran or did not: the ledger in sentences, for whoever asks at two in the morning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q

from schedules import timing
from schedules.engine.fates import ON_TIME
from schedules.engine.leader import NAME as BEAT
from schedules.engine.newruns import due_at
from schedules.engine.planning import calendars_of
from schedules.engine.slots import scopes_of
from schedules.models import EngineLease, Run, Schedule, SkipSpan
from schedules.services.checks import check_instant
from schedules.services.ledger import Entry, entry_of, fire_after, fire_before, ledger_entries
from schedules.words import clock, span, state_text

Reason = SkipSpan.Reason
LAST = 5


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``fire`` is the expected fire it speaks of, None when it speaks of the schedule; ``reason`` is ``ran``, a skip
    span's reason, ``to_come``, ``late``, ``not_expected``, ``none`` (no fire at all)."""

    reason: str
    headline: str
    details: list[str] = field(default_factory=list)
    fire: datetime | None = None
    run: Run | None = None


def why(schedule: Schedule, *, at: datetime | None, now: datetime) -> Answer:
    """What became of the fire at ``at``, or how the schedule stands at ``now`` when no instant is asked for.

    Raises :class:`InvalidInput` for an instant that lies centuries away.
    """
    if at is not None:
        check_instant("at", at)
    try:
        return _why_now(schedule, now) if at is None else _why_then(schedule, at, now)
    except timing.ExpressionError as problem:
        return Answer(
            reason="damaged",
            headline=f"{schedule.name} can't be read: {problem}.",
            details=[f"Give it another: manage.py job edit {schedule.name} --schedule …"],
        )


def _why_now(schedule: Schedule, now: datetime) -> Answer:
    entries = ledger_entries(schedule, after=schedule.created_at - timedelta(days=36500), through=now, limit=LAST)
    details = [_line(schedule, entry) for entry in entries]
    head = _standing(schedule, now)
    active = Run.objects.active().filter(schedule=schedule).with_limits().order_by("created_at")[:LAST]
    told = [*head.details, *_after_text(schedule), *_waits(active), *details]
    return Answer(reason=head.reason, headline=head.headline, details=told)


def _standing(schedule: Schedule, now: datetime) -> Answer:
    """Whether it fires, and when next."""
    name = schedule.name
    open_span = SkipSpan.objects.filter(schedule=schedule, last_fire_at=None).first()
    if not schedule.enabled:
        way = f"Let it fire again: manage.py job enable {name}"
        why_ = f": {schedule.paused_reason}" if schedule.paused_reason else ", no reason was given"
        return Answer(reason=Reason.PAUSED, headline=f"{name} is paused{why_}.", details=[way])
    if open_span:
        return Answer(
            reason=open_span.reason,
            headline=f"{name} fires no more: {open_span.get_reason_display()}.",
            details=[_way_on(schedule, open_span.reason)],
        )
    if schedule.next_run_at is None:
        by_hand = schedule.kind == Schedule.Kind.MANUAL
        text = "fires only by hand" if by_hand else "has no fire left"
        return Answer(reason="none", headline=f"{name} {text}.")
    return _to_come(schedule, schedule.next_run_at, now)


def _after_text(schedule: Schedule) -> list[str]:
    if schedule.run_after is None:
        return []
    return [f"It runs after {schedule.run_after.name}, {schedule.get_run_after_on_display()}."]


def _way_on(schedule: Schedule, reason: str) -> str:
    if reason == Reason.LIMIT:
        return f"{schedule.planned_runs} runs were planned. Raise it: manage.py job edit {schedule.name} --max-runs N"
    ends = clock(schedule.ends_at, schedule.timezone)
    return f"Its last date is {ends}. Move it: manage.py job edit {schedule.name} --until TIME"


def _to_come(schedule: Schedule, fire: datetime, now: datetime) -> Answer:
    when = clock(fire, schedule.timezone)
    if fire <= now:
        late = span((now - fire).total_seconds())
        return Answer(
            reason="late",
            headline=f"{schedule.name} was to fire at {when}, {late} ago, and is not planned yet.",
            details=["Is the beat up? `manage.py status` says so. Planning goes on where it stopped; nothing is lost."],
            fire=fire,
        )
    details = [f"Fires in {span((fire - now).total_seconds())}."]
    if not EngineLease.objects.filter(name=BEAT, expires_at__gt=now).exists():
        details.append("No beat is up now: it fires when one is. `manage.py status` says what is down.")
    if (due := due_at(schedule, fire)) > fire:
        details.append(f"Its jitter puts it off to {clock(due, schedule.timezone)}.")
    details += [
        f"It will be skipped: inside the blackout {window.text!r} until {clock(window.end, schedule.timezone)}."
        for calendar in calendars_of([schedule]).get(schedule.pk, [])
        if (window := calendar.window_at(fire))
    ]
    return Answer(reason="to_come", headline=f"{schedule.name} fires at {when}.", details=details, fire=fire)


def _why_then(schedule: Schedule, at: datetime, now: datetime) -> Answer:
    before, after = fire_before(schedule, at), fire_after(schedule, at)
    if before is None or before != at:
        return _not_expected(schedule, at, before, after, now)
    entry = entry_of(schedule, before)
    if entry is None:
        return _to_come(schedule, before, now)
    return _became(schedule, entry, before, now)


def _not_expected(
    schedule: Schedule, at: datetime, before: datetime | None, after: datetime | None, now: datetime
) -> Answer:
    zone, details = schedule.timezone, _backfills(schedule, at)
    if at < schedule.created_at:
        details.append(f"The job was created at {clock(schedule.created_at, zone)}.")
    if before:
        entry = entry_of(schedule, before)
        details.append(_line(schedule, entry) if entry else f"Before it: {clock(before, zone)}, not planned yet.")
    if after:
        entry = entry_of(schedule, after) if after <= now else None
        details.append(_line(schedule, entry) if entry else f"The next one: {clock(after, zone)}.")
    return Answer(
        reason="not_expected",
        headline=f"No fire of {schedule.name} was expected at {clock(at, zone)}.",
        details=details,
    )


def _became(schedule: Schedule, entry: Entry, fire: datetime, now: datetime) -> Answer:
    when = clock(fire, schedule.timezone)
    backfills = _backfills(schedule, fire)
    if entry.run:
        details = [*_run_story(entry.run), *_waits([entry.run]), *backfills]
        text = f"The fire of {when} became the run {entry.run.job_run_id}: {state_text(entry.run)}."
        return Answer(reason=entry.reason, headline=text, details=details, fire=fire, run=entry.run)
    assert entry.span is not None  # noqa: S101 - an entry is a run or a span
    details = [*_span_story(schedule, entry, fire, now), *backfills]
    if entry.reason == Reason.PRUNED:
        text = f"Housekeeping removed the record of the fire of {when}: {entry.span.get_reason_display()}."
        return Answer(reason=entry.reason, headline=text, details=details, fire=fire)
    how = "will not run" if fire > now else "did not run"
    text = f"The fire of {when} {how}: {entry.span.get_reason_display()}."
    return Answer(reason=entry.reason, headline=text, details=details, fire=fire)


def _backfills(schedule: Schedule, fire: datetime) -> list[str]:
    runs = Run.objects.filter(schedule=schedule, fire_at=fire, trigger=Run.Trigger.BACKFILL)
    return [f"A backfill took it up: {run.job_run_id}, {state_text(run)}." for run in runs]


def _planned_late(fire: datetime, planned: datetime) -> Iterator[str]:
    """A record is written when the fire is planned; much later means that nobody was there to plan it."""
    if planned - fire > ON_TIME:
        late = span((planned - fire).total_seconds())
        yield f"It was planned {late} late: the watch was down or behind at its time."


def _run_story(run: Run) -> Iterator[str]:
    if run.fire_at:
        yield from _planned_late(run.fire_at, run.created_at)
    if run.started_at and run.duration_ms is not None:
        yield f"Started {clock(run.started_at)}, took {span(run.duration_ms / 1000)}."
    if text := run.error_message or run.result_summary:
        yield text
    yield f"Its log: manage.py job logs {run.schedule_name} --run {run.job_run_id}"


def _span_story(schedule: Schedule, entry: Entry, fire: datetime, now: datetime) -> Iterator[str]:
    zone = schedule.timezone
    if entry.count > 1 and fire <= now:
        yield f"So were {entry.count} fires in a row, {clock(entry.first, zone)} to {clock(entry.last, zone)}."
    if entry.span and entry.span.detail:
        yield f"{entry.span.detail}."
    if entry.span and entry.reason == Reason.OVERLAP:
        yield from _planned_late(fire, entry.span.created_at)
        yield from _overlapping(schedule, fire)
    elif entry.reason == Reason.MISFIRE:
        window = span(schedule.catchup_seconds)
        yield f"Its policy for missed fires now: {schedule.get_misfire_display()}, up to {window} late."
        yield f"Run it after all: manage.py job backfill {schedule.name} --from … --to …"
    elif entry.reason in {Reason.LIMIT, Reason.ENDED}:
        yield _way_on(schedule, entry.reason)


def _overlapping(schedule: Schedule, fire: datetime) -> Iterator[str]:
    over = Q(finished_at__gte=fire) | Q(finished_at=None)
    active = Run.objects.filter(over, schedule=schedule, trigger=Run.Trigger.SCHEDULE, fire_at__lt=fire)
    for run in active.order_by("fire_at")[:3]:
        yield f"Active then: {run.job_run_id}, fired {clock(run.fire_at, schedule.timezone)}, {state_text(run)}."
    yield f"Its policy for overlap now: {schedule.get_overlap_display()}."


def _waits(runs: Iterable[Run]) -> Iterator[str]:
    """For each waiting run, who holds what it waits for."""
    for run in runs:
        if run.status == Run.Status.QUEUED and not run.admission_token:
            yield f"{run.job_run_id}: {state_text(run)}."
            yield from _holders(run)
        elif run.status == Run.Status.RUNNING:
            yield f"{run.job_run_id} runs since {clock(run.started_at)}."


def _holders(run: Run) -> Iterator[str]:
    for scope in scopes_of(run):
        kind = scope.name.partition(":")[0]
        if kind == "alone" or scope.limit is None:
            continue
        held = Run.objects.holding_slots().exclude(pk=run.pk).filter(**{kind: getattr(run, f"{kind}_id")})
        names = list(held.values_list("job_run_id", flat=True)[: LAST + 1])
        if len(names) >= scope.limit:
            yield f"The limit of its {kind} ({scope.limit}) is taken by {', '.join(names[:LAST])}."


def _line(schedule: Schedule, entry: Entry) -> str:
    zone = schedule.timezone
    if entry.run:
        return f"{clock(entry.first, zone)}: {entry.run.job_run_id}, {state_text(entry.run)}"
    assert entry.span is not None  # noqa: S101 - an entry is a run or a span
    reason = entry.span.get_reason_display()
    detail = f" ({entry.span.detail})" if entry.span.detail else ""
    if entry.reason == Reason.PRUNED:
        through = f"{clock(entry.first, zone)} to {clock(entry.last, zone)}"
        return f"{through}: {entry.count} fires, what became of them is no longer kept"
    if entry.count == 1:
        return f"{clock(entry.first, zone)}: not run, {reason}{detail}"
    return f"{clock(entry.first, zone)} to {clock(entry.last, zone)}: {entry.count} fires not run, {reason}{detail}"
