"""``job create``: in the words of SOP-001 §5.1."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from fleet.services.agents import agent_named
from schedules import timing
from schedules.words import fires_text
from schedules.executors.registry import executor_of
from schedules.services.schedules import schedule_create

# What the SOP calls the executor of a command in a container.
BACKGROUND = "background"
COMMAND = "container.command"
# ``--concurrency allow``: runs may overlap, as many as the organisation and the agent allow.
ALLOWED_AT_ONCE = 1000


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
        parser.add_argument("--agent", metavar="NAME", help="the agent it works on; a command's container names it")
        parser.add_argument("--timezone", default="UTC", metavar="ZONE", help="for example Asia/Shanghai")
        parser.add_argument(
            "--timeout", type=int, default=3600, metavar="SECONDS", help="an attempt ends after so long"
        )
        parser.add_argument("--retries", type=int, metavar="N", help="tries again after a failure, 30 s, 60 s … later")
        parser.add_argument("--concurrency", choices=["allow", "forbid"], default="forbid", help="may runs overlap?")
        parser.add_argument("--description", default="", metavar="TEXT")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        executor = COMMAND if options["executor"] == BACKGROUND else options["executor"]
        schedule = schedule_create(
            organisation=organisation,
            actor=self.actor(),
            display_name=options["displayname"],
            description=options["description"],
            expression=options["schedule"],
            timezone=options["timezone"],
            executor=executor,
            payload=_payload(executor, options),
            agent=agent_named(organisation, options["agent"]) if options["agent"] else None,
            timeout_seconds=options["timeout"],
            max_retries=options["retries"],
            **_concurrency(options["concurrency"]),
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
    return _json(options["payload"] or "{}")


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            f"--payload is not JSON ({error}). An example: '{{\"keep\": 5}}'", field="payload"
        ) from error
    if not isinstance(value, dict):
        raise InvalidInput("--payload is a JSON object, for example '{\"keep\": 5}'.", field="payload")
    return value


def _concurrency(choice: str) -> dict[str, Any]:
    if choice == "allow":
        return {"overlap": "queue_all", "max_concurrent_runs": ALLOWED_AT_ONCE}
    return {"overlap": "skip", "max_concurrent_runs": 1}
