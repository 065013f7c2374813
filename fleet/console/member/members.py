"""``member set|ls|remove``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.models import Member
from fleet.scopes import ROLES
from fleet.services.organisations import member_remove, member_set


class Set(Subcommand):
    name = "set"
    help = "Give a user a role in the organisation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--role", required=True, choices=ROLES)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        member_set(organisation=organisation, username=options["user"], role=options["role"], actor=self.actor())
        screen.say(f"{options['user']} is {options['role']} of {organisation}.")
        return Exit.DONE


class Ls(Subcommand):
    name = "ls"
    help = "List the organisation's members."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        members = list(Member.objects.of(organisation).values("user__username", "role"))
        if options["json"]:
            screen.json([{"user": each["user__username"], "role": each["role"]} for each in members])
        elif members:
            screen.table(["USER", "ROLE"], [[each["user__username"], each["role"]] for each in members])
        else:
            screen.say(f"{organisation} has no members yet. Add one: manage.py member set USER --role operator")
        return Exit.DONE


class Remove(Subcommand):
    name = "remove"
    help = "Take a user's role away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        if not screen.confirm(f"Remove {options['user']} from {organisation}?", yes=options["yes"]):
            screen.say("Nothing was removed.")
            return Exit.FAILURE
        member_remove(organisation=organisation, username=options["user"], actor=self.actor())
        screen.say(f"{options['user']} is no member of {organisation} any more.")
        return Exit.DONE
