"""Schedules and runs in words: distances before clocks, a zone beside every clock, a shape beside every colour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.html import format_html
from django.utils.safestring import SafeString

from fleet.admin.marks import Tone, badge
from schedules import timing
from schedules.models import Run, Schedule, SkipSpan
from schedules.services.ledger import Entry

_STATUSES: dict[str, tuple[str, Tone, str]] = {
    Run.Status.SUCCESS: ("Succeeded", "ok", "check_circle"),
    Run.Status.FAILED: ("Failed", "failed", "dangerous"),
    Run.Status.TIMEOUT: ("Timed out", "warn", "hourglass_bottom"),
    Run.Status.CANCELLED: ("Cancelled", "quiet", "disabled_by_default"),
    Run.Status.SKIPPED: ("Skipped", "quiet", "remove"),
    Run.Status.RUNNING: ("Running", "busy", "clock_loader_40"),
    Run.Status.QUEUED: ("Queued", "busy", "more_horiz"),
}
_FATES: dict[str, tuple[str, Tone, str]] = {
    SkipSpan.Reason.OVERLAP: ("Overlap", "quiet", "layers"),
    SkipSpan.Reason.MISFIRE: ("Missed", "warn", "event_busy"),
    SkipSpan.Reason.BLACKOUT: ("Blackout", "quiet", "nights_stay"),
    SkipSpan.Reason.LIMIT: ("Limit reached", "quiet", "block"),
    SkipSpan.Reason.PAUSED: ("Paused", "quiet", "pause_circle"),
    SkipSpan.Reason.ENDED: ("Ended", "quiet", "stop_circle"),
    SkipSpan.Reason.DAMAGED: ("Unreadable", "failed", "dangerous"),
    SkipSpan.Reason.PRUNED: ("No longer kept", "quiet", "auto_delete"),
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def status_badge(status: str) -> SafeString:
    word, tone, shape = _STATUSES.get(status, (status or "none yet", "quiet", "circle"))
    return badge(word, tone=tone, shape=shape)


def reason_badge(reason: str) -> SafeString:
    """Why fires became no run."""
    word, tone, shape = _FATES.get(reason, (reason, "quiet", "circle"))
    return badge(word, tone=tone, shape=shape)


def fate_badge(entry: Entry) -> SafeString:
    """What fires became: a run in its state, or the reason why not."""
    return status_badge(entry.run.status) if entry.run else reason_badge(entry.reason)


def span(seconds: float) -> str:
    """The two largest units: ``3 h 12 min``, ``38 s``."""
    left, parts = round(abs(seconds)), list[str]()
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:  # noqa: PLR2004 - two units say enough
            break
    return " ".join(part for part in parts if part) or "0 s"


def counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def distance(moment: datetime, now: datetime) -> str:
    """``in 24 s``, ``3 h 12 min ago``."""
    seconds = (moment - now) / timedelta(seconds=1)
    return f"in {span(seconds)}" if seconds >= 0 else f"{span(seconds)} ago"


def local_zone(zone: str) -> ZoneInfo:
    """The zone of this name; one that was damaged in the database reads UTC."""
    try:
        return timing.check_timezone(zone)
    except timing.ExpressionError:
        return ZoneInfo("UTC")


def clock(moment: datetime | None, zone: str = "UTC") -> str:
    """``Sat 21 Nov 02:00 Asia/Shanghai``, with seconds when there are any; a zone that is no zone reads UTC."""
    if moment is None:
        return "–"
    where = local_zone(zone)
    local = moment.astimezone(where)
    year = "" if local.year == datetime.now(UTC).year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {local:{'%H:%M:%S' if local.second else '%H:%M'}} {where.key}"


def stamp(moment: datetime, zone: str = "UTC") -> SafeString:
    """The same for a page, with the instant itself for those who hover: an hour that comes twice reads the same."""
    iso = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, iso, clock(moment, zone))


def duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "–"
    return f"{milliseconds} ms" if milliseconds < 1000 else span(milliseconds / 1000)  # noqa: PLR2004 - below a second


def rhythm(schedule: Schedule) -> str:
    """``Every day at 02:00, Asia/Shanghai``. Never raises, whatever stands in the row."""
    return timing.describe(schedule.expression, timezone=schedule.timezone, job_name=schedule.name)


def next_fire(schedule: Schedule, now: datetime, open_reason: str = "") -> tuple[str, str]:
    """When it fires next and on which clock; else why it does not. ``open_reason``: its open span's, if it has one."""
    if not schedule.enabled:
        return "never", f"paused: {schedule.paused_reason or 'no reason given'}"
    if schedule.next_run_at is None:
        return "never", no_fire_words(schedule, open_reason)
    when = distance(schedule.next_run_at, now)
    return f"due {when}" if schedule.next_run_at < now else when, clock(schedule.next_run_at, schedule.timezone)


def no_fire_words(schedule: Schedule, open_reason: str) -> str:
    """Why an enabled schedule has no next fire."""
    if open_reason == SkipSpan.Reason.LIMIT:
        return f"limit reached: {counted(schedule.max_runs or schedule.planned_runs, 'run')}"
    if open_reason == SkipSpan.Reason.ENDED:
        return f"ended: {clock(schedule.ends_at, schedule.timezone)}"
    if schedule.kind != Schedule.Kind.MANUAL:
        return "no fire is left"
    return after_words(schedule) or "only by hand"


def after_words(schedule: Schedule) -> str:
    """``after nightly-scan, when it succeeded``; empty when it follows no other."""
    if schedule.run_after is None:
        return ""
    return f"after {schedule.run_after.name}, {schedule.get_run_after_on_display()}"


def bounds_words(schedule: Schedule) -> str:
    """What narrows its fires down, in its own zone; empty when nothing does."""
    zone, parts = schedule.timezone, list[str]()
    if schedule.starts_at:
        parts.append(f"from {clock(schedule.starts_at, zone)}")
    if schedule.ends_at:
        parts.append(f"until {clock(schedule.ends_at, zone)}")
    if schedule.max_runs:
        parts.append(f"at most {counted(schedule.max_runs, 'run')}, of which {schedule.planned_runs} are planned")
    if schedule.jitter_seconds:
        parts.append(f"each put off by up to {span(schedule.jitter_seconds)}")
    return "; ".join(parts)


def wait_of(run: Run, now: datetime) -> str:
    """Which of the waits behind ``queued`` it is; empty when the run does not wait."""
    if run.status != Run.Status.QUEUED:
        return ""
    if run.admission_token:
        return "admitted: a message is out to a worker"
    if run.ending:
        return f"its outside work is being ended; then {run.ending}"
    if run.next_attempt_at and run.next_attempt_at > now:
        what = f"attempt {run.attempt} " if run.attempt > 1 else ""
        return f"{what}{distance(run.next_attempt_at, now)}, {clock(run.next_attempt_at)}"
    return "for a slot"
