"""Times, distances and states in words, for the terminal and for answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from schedules import timing
from schedules.models import BlackoutCalendar, Run, Schedule
from schedules.timing import ExpressionError, check_timezone

STAMP = "%Y-%m-%d %H:%M:%S"


def clock(moment: datetime | None, zone: str = "UTC") -> str:
    """``2026-02-26 02:00:00 Asia/Shanghai``, or ``–``. A zone that was damaged in the database becomes UTC."""
    if moment is None:
        return "–"
    try:
        local = check_timezone(zone)
    except ExpressionError:
        local, zone = ZoneInfo("UTC"), "UTC"
    return f"{moment.astimezone(local).strftime(STAMP)} {zone}"


def distance(moment: datetime) -> str:
    """``in 3 h 20 min`` or ``5 min ago``."""
    seconds = (moment - timezone.now()) / timedelta(seconds=1)
    text = span(abs(seconds))
    return f"in {text}" if seconds >= 0 else f"{text} ago"


def span(seconds: float) -> str:
    """A duration in its two largest units: ``38 s``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    whole = int(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def fires_text(schedule: Schedule) -> str:
    """When it fires next, as a sentence."""
    if not schedule.enabled:
        reason = f": {schedule.paused_reason}" if schedule.paused_reason else ""
        return f"It is disabled{reason}."
    if schedule.next_run_at is None:
        if schedule.run_after is not None:
            return f"It runs after {schedule.run_after.name}, {schedule.get_run_after_on_display()}."
        return "It fires only by hand." if schedule.kind == Schedule.Kind.MANUAL else "It never fires again."
    return f"Next: {clock(schedule.next_run_at, schedule.timezone)} ({distance(schedule.next_run_at)})."


def state_text(run: Run) -> str:
    """A run's status; a queued one says what it waits for."""
    if run.status != Run.Status.QUEUED:
        return run.get_status_display()
    if run.admission_token:
        return "queued, waits for a worker"
    if run.next_attempt_at and run.next_attempt_at > timezone.now():
        return f"queued, next attempt {distance(run.next_attempt_at)}"
    return "queued, waits for a slot"


def outcome_text(run: Run) -> str:
    """Why it ended so: the error, or what it achieved."""
    return run.error_message or run.result_summary


def windows_words(calendar: BlackoutCalendar) -> list[str]:
    """Each window of a calendar in words, in the order of its lines. Never raises, whatever stands in the row."""
    lines = (line.partition("#")[0].strip() for line in calendar.windows.splitlines())
    return [timing.describe_blackout(line) for line in lines if line]


def window_text(window: timing.Window | None, zone: str, now: datetime) -> str:
    """When a calendar's next window begins and ends, or until when the present one holds."""
    if window is None:
        return "none to come"
    if window.start <= now:
        return f"now, until {clock(window.end, zone)} ({distance(window.end)}): {window.text}"
    return f"{clock(window.start, zone)} ({distance(window.start)}) to {clock(window.end, zone)}: {window.text}"


def held_text(calendar: BlackoutCalendar) -> str:
    """For whom a calendar holds: ``every job``, their names, or ``no job yet``."""
    if calendar.for_all:
        return "every job"
    return ", ".join(each.name for each in calendar.schedules.all()) or "no job yet"
