"""``agent add|ls|show|edit|remove``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.audit import field_values
from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from fleet.models import Agent
from fleet.services.agents import FIELDS, agent_create, agent_named, agent_remove, agent_update

# The words of the command line and the fields behind them.
OPTIONS = {
    "name": "name",
    "runtime": "runtime",
    "container": "container_name",
    "workspace": "workspace_folder",
    "state": "state_folder",
    "url": "base_url",
    "health_url": "health_url",
    "limit": "max_concurrent_runs",
}


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--name", metavar="TEXT", help="how people call it")
    parser.add_argument("--runtime", metavar="KIND", help="openclaw, portagent, directory …")
    parser.add_argument("--container", metavar="NAME", help="its container, for example agent")
    parser.add_argument("--workspace", metavar="FOLDER", help="what workspace.backup archives")
    parser.add_argument("--state", metavar="FOLDER", help="where its sessions and databases are")
    parser.add_argument("--url", metavar="URL", help="for example http://127.0.0.1:18789")
    parser.add_argument("--health-url", metavar="URL")
    parser.add_argument("--limit", type=int, metavar="N", help="how many runs at once (2)")
    parser.add_argument("--secret", action="append", metavar="NAME=REF", help="REF is env:NAME or file:/run/secrets/x")


def _values(options: dict[str, Any]) -> dict[str, Any]:
    values = {field: options[option] for option, field in OPTIONS.items() if options[option] is not None}
    if options["secret"] is not None:
        pairs = [each.partition("=") for each in options["secret"]]
        if any(not sign for _, sign, _ in pairs):
            raise InvalidInput("--secret takes NAME=REFERENCE, for example token=env:AGENT_TOKEN.", field="secret_refs")
        values["secret_refs"] = {name: reference for name, _, reference in pairs}
    return values


class Add(Subcommand):
    name = "add"
    help = "Add an agent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", metavar="NAME", help="lower-case letters, digits, '-' and '_'")
        _add_options(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        agent = agent_create(
            organisation=self.organisation(options), slug=options["agent"], actor=self.actor(), **_values(options)
        )
        screen.data(agent.slug)
        screen.say(f"Added the agent {agent.slug}. `manage.py agent show {agent.slug}` shows it.")
        return Exit.DONE


class Edit(Subcommand):
    name = "edit"
    help = "Change an agent; what is not named stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", metavar="NAME")
        _add_options(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        agent = agent_named(self.organisation(options), options["agent"])
        values = _values(options)
        if not values:
            raise InvalidInput("Nothing to change: name a field, for example --workspace /srv/agent/workspace.")
        agent_update(agent=agent, actor=self.actor(), **values)
        screen.say(f"Changed the agent {agent.slug}.")
        return Exit.DONE


class Ls(Subcommand):
    name = "ls"
    help = "List agents."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        agents = list(Agent.objects.of(organisation))
        if options["json"]:
            screen.json([field_values(agent, FIELDS) for agent in agents])
        elif agents:
            rows = [[a.slug, a.runtime, a.container_name or "–", a.workspace_folder or "–"] for a in agents]
            screen.table(["NAME", "RUNTIME", "CONTAINER", "WORKSPACE"], rows)
        else:
            screen.say(f"{organisation} has no agents yet. `manage.py agent add --help` shows how to add one.")
        return Exit.DONE


class Show(Subcommand):
    name = "show"
    help = "Show an agent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", metavar="NAME")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        values = field_values(agent_named(self.organisation(options), options["agent"]), FIELDS)
        if options["json"]:
            screen.json(values)
        else:
            screen.fields({name: str(value) if value else "–" for name, value in values.items()})
        return Exit.DONE


class Remove(Subcommand):
    name = "remove"
    help = "Remove an agent that no job uses. Its archives stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", metavar="NAME")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        agent = agent_named(self.organisation(options), options["agent"])
        if not screen.confirm(f"Remove the agent {agent.slug}?", yes=options["yes"]):
            screen.say("Nothing was removed.")
            return Exit.FAILURE
        agent_remove(agent=agent, actor=self.actor())
        screen.say(f"Removed the agent {agent.slug}.")
        return Exit.DONE
