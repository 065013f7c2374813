"""``blackout set`` and ``blackout delete``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput, NotFound
from fleet.models import Organisation
from schedules.console.job.settings import NONE
from schedules.models import BlackoutCalendar
from schedules.services.blackouts import (
    blackout_create,
    blackout_delete,
    blackout_named,
    blackout_next,
    blackout_update,
)
from schedules.services.schedules import schedule_named
from schedules.words import held_text, window_text

_EXAMPLE = '--windows "sat,sun" --windows "12-24..01-02"'


class Set(Subcommand):
    name = "set"
    help = "Make a calendar, or change what is said of one that is there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("calendar", metavar="NAME")
        parser.add_argument(
            "--windows",
            action="append",
            metavar="WINDOW",
            help='"sat,sun", "12-24..01-02", "mon-fri 22:00-06:00", 2026-12-24; again for each further one',
        )
        parser.add_argument("--timezone", metavar="ZONE", help="in which the windows are read (UTC)")
        whom = parser.add_mutually_exclusive_group()
        whom.add_argument(
            "--for",
            dest="jobs",
            nargs="+",
            action="extend",
            metavar="JOB",
            help="holds for these jobs; none: for no job",
        )
        whom.add_argument("--for-all", action="store_true", help="holds for every job of the organisation")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        values = _values(options, organisation)
        try:
            calendar = blackout_named(organisation, options["calendar"])
        except NotFound as missing:
            if "windows" not in values:
                raise InvalidInput(f"{missing.message} A new one needs windows: {_EXAMPLE}", field="windows") from None
            actor, name = self.actor(), options["calendar"]
            calendar = blackout_create(organisation=organisation, actor=actor, name=name, **values)
            done = "Made"
        else:
            calendar, done = self._changed(calendar, values), "Changed"
        now = timezone.now()
        screen.data(calendar.name)
        screen.say(f"{done} {calendar.name}, for {held_text(calendar)}.")
        screen.say(f"Next window: {window_text(blackout_next(calendar, now), calendar.timezone, now)}")
        return Exit.DONE

    def _changed(self, calendar: BlackoutCalendar, values: dict[str, Any]) -> BlackoutCalendar:
        if not values:
            raise InvalidInput(f"Nothing was said that could change {calendar.name}, for example {_EXAMPLE}")
        return blackout_update(calendar=calendar, actor=self.actor(), **values)


class Delete(Subcommand):
    name = "delete"
    help = "Delete a calendar: from now on its windows stop nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("calendar", metavar="NAME")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        calendar = blackout_named(self.organisation(options), options["calendar"])
        held = held_text(calendar)
        if not screen.confirm(f"Delete {calendar.name}, which holds for {held}?", yes=options["yes"]):
            screen.say("Nothing was deleted.")
            return Exit.FAILURE if screen.interactive else Exit.USAGE
        blackout_delete(calendar=calendar, actor=self.actor())
        screen.say(f"Deleted {calendar.name}. It held for {held}.")
        return Exit.DONE


def _values(options: dict[str, Any], organisation: Organisation) -> dict[str, Any]:
    """What was said, as the services take it."""
    values: dict[str, Any] = {}
    if options["windows"] is not None:
        values["windows"] = "\n".join(options["windows"])
    if options["timezone"] is not None:
        values["timezone"] = options["timezone"]
    if options["for_all"]:
        values |= {"for_all": True, "schedules": []}
    elif options["jobs"] is not None:
        named = [name for name in options["jobs"] if name != NONE]
        values |= {"for_all": False, "schedules": [schedule_named(organisation, name) for name in named]}
    return values
