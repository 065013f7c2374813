"""``job create``: in the words of SOP-001 §5.1."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from schedules import timing
from schedules.console.job.settings import add_settings, payload_of, settings_of, zone_said
from schedules.executors.registry import executor_of
from schedules.services.schedules import schedule_create
from schedules.words import fires_text

# What the SOP calls the executor of a command in a container.
BACKGROUND = "background"
COMMAND = "container.command"


class Create(Subcommand):
    name = "create"
    help = "Create a job. Its name is the slug of the display name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--displayname", required=True, metavar="TEXT", help='for example "Workspace S3 Backup"')
        parser.add_argument(
            "--schedule", required=True, metavar="EXPR", help='"0 2 * * *", @daily, @every 6h, @manually'
        )
        parser.add_argument(
            "--command", metavar="TEXT", help='"docker exec CONTAINER CMD…", for the background executor'
        )
        parser.add_argument(
            "--executor", default=BACKGROUND, help="background (a container command) or an executor's key"
        )
        parser.add_argument("--payload", metavar="JSON", help="the executor's payload, for example '{\"keep\": 5}'")
        add_settings(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        executor = COMMAND if options["executor"] == BACKGROUND else options["executor"]
        settings = settings_of(options, organisation, zone=zone_said(options, "UTC"))
        if "run_after_on" in settings and settings.get("run_after") is None:
            raise InvalidInput("--after-on belongs to --after: name the job that it runs after.", field="run_after_on")
        schedule = schedule_create(
            organisation=organisation,
            actor=self.actor(),
            display_name=options["displayname"],
            expression=options["schedule"],
            executor=executor,
            payload=_payload(executor, options),
            **settings,
        )
        screen.data(schedule.name)
        words = timing.describe(schedule.expression, timezone=schedule.timezone)
        screen.say(f"Created {schedule.name}: {words}. {fires_text(schedule)}")
        screen.say(f"Run it now: manage.py job run {schedule.name}")
        return Exit.DONE


def _payload(executor: str, options: dict[str, Any]) -> dict[str, Any]:
    executor_of(executor)  # a mistyped name is said first
    if options["command"] is not None:
        if executor != COMMAND or options["payload"]:
            raise InvalidInput(
                f"--command belongs to --executor background; {executor} takes --payload.", field="command"
            )
        return {"command": options["command"]}
    if executor == COMMAND and not options["payload"]:
        raise InvalidInput(
            'A background job needs --command, for example --command "docker exec agent s3 backup".', field="command"
        )
    return payload_of(options["payload"] or "{}")
