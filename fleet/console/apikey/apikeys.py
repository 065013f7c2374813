"""``apikey create|list|revoke``."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.utils import timezone

from fleet.console import Exit, Screen, Subcommand
from fleet.models import ApiKey
from fleet.scopes import SCOPES
from fleet.services.apikeys import apikey_create, apikey_revoke


class Create(Subcommand):
    name = "create"
    help = "Create an API key. It is printed once, on stdout."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", metavar="NAME")
        parser.add_argument(
            "--scope", action="append", required=True, metavar="SCOPE", help=f"may be repeated: {', '.join(SCOPES)}"
        )
        parser.add_argument("--days", type=int, metavar="N", help="it expires after so many days (never)")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] is not None else None
        made = apikey_create(
            organisation=self.organisation(options),
            name=options["key"],
            scopes=options["scope"],
            expires_at=expires,
            actor=self.actor(),
        )
        screen.data(made.secret)
        screen.say("This is the only time the key is shown. Use it as: Authorization: Bearer KEY")
        return Exit.DONE


class List(Subcommand):
    name = "list"
    help = "List API keys: prefix, scopes, expiry, last use. Never the key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        rows = [_plain(key) for key in ApiKey.objects.of(organisation)]
        if options["json"]:
            screen.json(rows)
        elif rows:
            headers = ["NAME", "PREFIX", "STATE", "SCOPES", "EXPIRES", "LAST USED"]
            screen.table(headers, [[_cell(value) for value in row.values()] for row in rows])
        else:
            screen.say(f"{organisation} has no API keys. `manage.py apikey create --help` shows how to make one.")
        return Exit.DONE


class Revoke(Subcommand):
    name = "revoke"
    help = "End a key now, by its name or prefix."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", metavar="NAME")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        if not screen.confirm(f"Revoke the key {options['key']}? Whoever uses it is shut out.", yes=options["yes"]):
            screen.say("Nothing was revoked.")
            return Exit.FAILURE
        key = apikey_revoke(organisation=self.organisation(options), name=options["key"], actor=self.actor())
        screen.say(f"Revoked {key.name}.")
        return Exit.DONE


def _plain(key: ApiKey) -> dict[str, Any]:
    expired = key.expires_at is not None and key.expires_at <= timezone.now()
    state = "revoked" if key.revoked_at else "expired" if expired else "valid"
    return {
        "name": key.name,
        "prefix": f"wb_{key.prefix}",
        "state": state,
        "scopes": key.scopes,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
    }


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return str(value) if value else "–"
