"""``org create|ls|edit``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from fleet.models import Organisation
from fleet.services.organisations import organisation_create, organisation_named, organisation_update


class Create(Subcommand):
    name = "create"
    help = "Open an organisation."
    scoped = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="NAME")
        parser.add_argument("--name", default="", metavar="TEXT", help="how people call it")
        parser.add_argument("--limit", type=int, default=10, metavar="N", help="how many runs at once (10)")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = organisation_create(
            slug=options["slug"], name=options["name"], max_concurrent_runs=options["limit"], actor=self.actor()
        )
        screen.data(organisation.slug)
        return Exit.DONE


class Ls(Subcommand):
    name = "ls"
    help = "List organisations."
    scoped = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        rows = list(Organisation.objects.values("slug", "name", "max_concurrent_runs", "is_active"))
        if options["json"]:
            screen.json(rows)
        elif rows:
            screen.table(
                ["NAME", "CALLED", "AT ONCE", "OPEN"], [[str(value) for value in row.values()] for row in rows]
            )
        else:
            screen.say("There is no organisation yet. Create one: manage.py org create NAME")
        return Exit.DONE


class Edit(Subcommand):
    name = "edit"
    help = "Change an organisation's name or limit, close or reopen it."
    scoped = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="NAME")
        parser.add_argument("--name", metavar="TEXT")
        parser.add_argument("--limit", type=int, metavar="N", help="how many runs at once")
        state = parser.add_mutually_exclusive_group()
        state.add_argument(
            "--close", dest="is_active", action="store_false", default=None, help="nothing fires any more"
        )
        state.add_argument("--reopen", dest="is_active", action="store_true", default=None)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        named = {
            "name": options["name"],
            "max_concurrent_runs": options["limit"],
            "is_active": options["is_active"],
        }
        changes = {field: value for field, value in named.items() if value is not None}
        if not changes:
            raise InvalidInput("Nothing to change: name --name, --limit, --close or --reopen.")
        organisation = organisation_named(options["slug"])
        organisation_update(organisation=organisation, actor=self.actor(), **changes)
        screen.say(f"Changed the organisation {organisation.slug}.")
        return Exit.DONE
