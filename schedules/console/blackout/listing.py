"""``blackout ls`` and ``blackout show``: the windows in words, when the next one is, and for which jobs."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.utils import timezone

from fleet.console import Exit, Screen, Subcommand
from schedules.models import BlackoutCalendar
from schedules.services.blackouts import blackout_named, blackout_next
from schedules.words import held_text, window_text, windows_words


class Ls(Subcommand):
    name = "ls"
    help = "List calendars: their windows, the next one, the jobs they hold for."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation, now = self.organisation(options), timezone.now()
        calendars = list(BlackoutCalendar.objects.of(organisation).prefetch_related("schedules"))
        if options["json"]:
            screen.json([calendar_json(each, now) for each in calendars])
        elif calendars:
            screen.table(["NAME", "WINDOWS", "ZONE", "NEXT", "HOLDS FOR"], [_row(each, now) for each in calendars])
        else:
            screen.say(
                f"{organisation} has no blackout calendar yet. Make one: "
                'manage.py blackout set weekends --windows "sat,sun" --timezone Asia/Shanghai --for-all'
            )
        return Exit.DONE


class Show(Subcommand):
    name = "show"
    help = "Show a calendar: each window in words, when the next one begins and ends, for which jobs it holds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("calendar", metavar="NAME")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        calendar, now = blackout_named(self.organisation(options), options["calendar"]), timezone.now()
        if options["json"]:
            screen.json(calendar_json(calendar, now))
        else:
            screen.fields(_fields(calendar, now))
        return Exit.DONE


def calendar_json(calendar: BlackoutCalendar, now: datetime) -> dict[str, Any]:
    """A calendar for a machine."""
    window = blackout_next(calendar, now)
    return {
        "name": calendar.name,
        "timezone": calendar.timezone,
        "windows": calendar.windows.splitlines(),
        "words": windows_words(calendar),
        "for_all": calendar.for_all,
        "jobs": [each.name for each in calendar.schedules.all()],
        "next": {"start": window.start.isoformat(), "end": window.end.isoformat(), "window": window.text}
        if window
        else None,
    }


def _row(calendar: BlackoutCalendar, now: datetime) -> list[str]:
    return [
        calendar.name,
        "; ".join(windows_words(calendar)),
        calendar.timezone,
        window_text(blackout_next(calendar, now), calendar.timezone, now),
        held_text(calendar),
    ]


def _fields(calendar: BlackoutCalendar, now: datetime) -> dict[str, str]:
    lines = [line for line in calendar.windows.splitlines() if line.partition("#")[0].strip()]
    windows = {f"window {number}": f"{line}   {words}" for number, (line, words) in _numbered(lines, calendar)}
    return {
        "name": calendar.name,
        "zone": calendar.timezone,
        **windows,
        "next": window_text(blackout_next(calendar, now), calendar.timezone, now),
        "holds for": held_text(calendar),
    }


def _numbered(lines: list[str], calendar: BlackoutCalendar) -> Any:
    return enumerate(zip(lines, windows_words(calendar), strict=True), start=1)
