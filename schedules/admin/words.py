"""Schedules and runs in words: distances before clocks, a zone beside every clock, a shape beside every colour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.utils.safestring import SafeString

from fleet.admin.marks import Tone, badge
from schedules import timing
from schedules.engine.course import planned_rule
from schedules.models import Run, Schedule

_STATUSES: dict[str, tuple[str, Tone, str]] = {
    Run.Status.SUCCESS: ("Succeeded", "ok", "check_circle"),
    Run.Status.FAILED: ("Failed", "failed", "dangerous"),
    Run.Status.TIMEOUT: ("Timed out", "warn", "hourglass_bottom"),
    Run.Status.CANCELLED: ("Cancelled", "quiet", "disabled_by_default"),
    Run.Status.SKIPPED: ("Skipped", "quiet", "remove"),
    Run.Status.RUNNING: ("Running", "busy", "clock_loader_40"),
    Run.Status.QUEUED: ("Queued", "busy", "more_horiz"),
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def status_badge(status: str) -> SafeString:
    word, tone, shape = _STATUSES.get(status, (status or "none yet", "quiet", "circle"))
    return badge(word, tone=tone, shape=shape)


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


def clock(moment: datetime | None, zone: str = "UTC") -> str:
    """``Sat 21 Nov 02:00 Asia/Shanghai``, with seconds when there are any; a zone that is no zone reads UTC."""
    if moment is None:
        return "–"
    try:
        local, name = moment.astimezone(timing.check_timezone(zone)), zone
    except timing.ExpressionError:
        local, name = moment.astimezone(UTC), "UTC"
    year = "" if local.year == datetime.now(UTC).year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {local:{'%H:%M:%S' if local.second else '%H:%M'}} {name}"


def duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "–"
    return f"{milliseconds} ms" if milliseconds < 1000 else span(milliseconds / 1000)  # noqa: PLR2004 - below a second


def rhythm(schedule: Schedule) -> str:
    """``Every day at 02:00, Asia/Shanghai``. Never raises, whatever stands in the row."""
    return timing.describe(schedule.expression, timezone=schedule.timezone, job_name=schedule.name)


def next_fire(schedule: Schedule, now: datetime) -> tuple[str, str]:
    """When it fires next and on which clock; else why it does not."""
    if not schedule.enabled:
        return "never", f"paused: {schedule.paused_reason or 'no reason given'}"
    if schedule.next_run_at is None:
        return "never", "only by hand" if schedule.kind == Schedule.Kind.MANUAL else "no fire is left"
    when = distance(schedule.next_run_at, now)
    return f"due {when}" if schedule.next_run_at < now else when, clock(schedule.next_run_at, schedule.timezone)


def coming_fires(schedule: Schedule, now: datetime, count: int = 5) -> list[datetime]:
    """The next fires from the scheduler's own arithmetic. Raises ``timing.ExpressionError`` for a broken row."""
    rule, fires, moment = planned_rule(schedule), list[datetime](), now
    while len(fires) < count and (fire := rule.next_after(moment)) is not None:
        fires.append(fire)
        moment = fire
    return fires


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
