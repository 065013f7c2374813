"""``backup create`` and ``backup drill``: runs that a person asks for, seen through to their end."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from backups.console.words import backup_named, known_kind
from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from fleet.models import Agent
from fleet.services.agents import agent_named
from schedules.console.job.run import wait_for
from schedules.services.runs import Requested, run_once

#: Options of `backup create` that go into the payload as they are: an empty one is a variable that was not set.
_GIVEN = ("to", "source", "recipient")
KINDS = {"workspace": "workspace.backup", "database": "database.backup"}


class Asking(Subcommand):
    """What the subcommands share that ask for a run."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-wait", action="store_true", help="do not stay until it is over")
        parser.add_argument("--json", action="store_true", help="the run and what came of it, for a machine")

    def ask(self, executor: str, payload: dict[str, Any], agent: Agent, options: dict[str, Any], screen: Screen) -> int:
        requested = run_once(
            organisation=agent.organisation, executor=executor, payload=payload, agent=agent, actor=self.actor()
        )
        return self.follow(requested, options, screen)

    def follow(self, requested: Requested, options: dict[str, Any], screen: Screen) -> int:
        """Stay until it is over, unless that is not wanted."""
        run = requested.run
        if requested.note:
            screen.say(requested.note)
        code = int(Exit.DONE) if options["no_wait"] else wait_for(run, screen, shows_log=not options["json"])
        if options["json"]:
            run.refresh_from_db()
            told = {"run": run.job_run_id, "status": run.status, "error": run.error_message, "result": run.result}
            screen.json(told)
        elif options["no_wait"]:
            screen.data(run.job_run_id)
        return code


class Create(Asking):
    name = "create"
    help = "Back up an agent's workspace or databases now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agent", required=True, metavar="SLUG")
        parser.add_argument("--kind", choices=sorted(KINDS), default="workspace")
        parser.add_argument("--to", metavar="PLACE", help="s3 (default), hot, or a folder below BACKUP_ROOT")
        parser.add_argument("--source", metavar="FOLDER", help="another folder of the agent")
        parser.add_argument("--container", action="store_true", help="read it out of the agent's container")
        parser.add_argument("--keep", metavar="RULES", help="5, or rules: last=5,daily=7,weekly=4,monthly=12,days=30")
        parser.add_argument("--recipient", metavar="age1…", help="encrypt for this recipient, or none")
        parser.add_argument("--no-verify", action="store_true", help="do not read it back at once")
        parser.add_argument("--force", action="store_true", help="make one even if nothing changed")
        super().add_arguments(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        agent = agent_named(self.organisation(options), options["agent"])
        payload: dict[str, Any] = {name: options[name] for name in _GIVEN if options[name] is not None}
        if options["container"]:
            if options["kind"] != "workspace":
                raise InvalidInput("Databases are copied from a folder of this host, not out of a container.")
            payload["location"] = "container"
        if options["keep"] is not None:
            payload["keep"] = keep_of(options["keep"])
        if options["no_verify"]:
            payload["verify"] = False
        if options["force"]:
            payload["if_unchanged"] = "archive"
        return self.ask(KINDS[options["kind"]], payload, agent, options, screen)


def keep_of(text: str) -> int | dict[str, int]:
    """``5``, or ``daily=7,weekly=4``. Raises :class:`InvalidInput`."""
    if text.isascii() and text.isdigit():
        return int(text)
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals and value.isascii() and value.isdigit() for _, equals, value in pairs):
        raise InvalidInput(f"--keep is {text!r}: give a number, or rules such as daily=7,weekly=4.", field="keep")
    return {name.strip(): int(value) for name, _, value in pairs}


class Drill(Asking):
    name = "drill"
    help = "Try a restore in a sandbox: hashes, databases, time. Exit code: 0 it works, 1 it does not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", nargs="?", metavar="BACKUP", help="its number or name; else the newest verified")
        parser.add_argument("--agent", metavar="SLUG")
        parser.add_argument("--kind", metavar="KIND")
        parser.add_argument("--random", action="store_true", help="any verified one")
        parser.add_argument("--image", metavar="IMAGE", default="", help="of the container in which the probe runs")
        parser.add_argument("--probe", metavar="JSON", help='a command, such as ["sh", "-c", "test -s /restored/x"]')
        super().add_arguments(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        payload: dict[str, Any] = {"which": "random" if options["random"] else "newest"}
        slug = options["agent"]
        if options["backup"]:
            backup = backup_named(organisation, options["backup"], agent=slug or "")
            payload, slug = {"which": backup.pk}, backup.agent_slug
        if not slug:
            raise InvalidInput("Whose backup? Name an agent (--agent) or a backup.", field="agent")
        if options["kind"]:
            payload["kind"] = known_kind(options["kind"])
        if options["image"] and not options["probe"]:
            raise InvalidInput("An image needs the command to run in it: --probe.", field="probe")
        if options["probe"]:
            payload |= {"probe": _command(options["probe"]), "image": options["image"]}
        return self.ask("restore.drill", payload, agent_named(organisation, slug), options, screen)


def _command(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, list) or not value or not all(isinstance(part, str) for part in value):
        raise InvalidInput(f"--probe is {text!r}: give a JSON list of words.", field="probe")
    return value
