"""``job edit``: change what is said, leave the rest."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from schedules import timing
from schedules.console.job.settings import add_settings, payload_of, settings_of, zone_said
from schedules.services.schedules import schedule_named, schedule_update
from schedules.words import fires_text


class Edit(Subcommand):
    name = "edit"
    help = "Change a job. Fires until now stay accounted for as they were; `none` takes a setting away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("--displayname", metavar="TEXT")
        parser.add_argument("--schedule", metavar="EXPR", help='"0 2 * * *", @daily, @every 6h, @manually')
        parser.add_argument("--command", metavar="TEXT", help="of a background job")
        parser.add_argument("--payload", metavar="JSON", help="the executor's payload, whole")
        add_settings(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        schedule = schedule_named(organisation, options["job"])
        changes = settings_of(options, organisation, zone=zone_said(options, schedule.timezone)) | _said(options)
        if "run_after_on" in changes and changes.get("run_after", schedule.run_after) is None:
            raise InvalidInput("--after-on belongs to --after: name the job that it runs after.", field="run_after_on")
        if not changes:
            raise InvalidInput('Nothing was said that could change it, for example --schedule "0 3 * * *".')
        schedule = schedule_update(schedule=schedule, actor=self.actor(), **changes)
        words = timing.describe(schedule.expression, timezone=schedule.timezone, job_name=schedule.name)
        screen.say(f"{schedule.name}: {words}. {fires_text(schedule)}")
        return Exit.DONE


def _said(options: dict[str, Any]) -> dict[str, Any]:
    given = {"display_name": options["displayname"], "expression": options["schedule"]}
    if options["command"] is not None:
        given["payload"] = {"command": options["command"]}
    elif options["payload"] is not None:
        given["payload"] = payload_of(options["payload"])
    return {field: value for field, value in given.items() if value is not None}
