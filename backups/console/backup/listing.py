"""``backup ls`` and ``backup show``: what there is, and what is in it."""

from __future__ import annotations

import contextlib
from argparse import ArgumentParser
from typing import Any

from backups.archive.contents import Contents
from backups.archive.errors import ArchiveError
from backups.archive.terminal import human_size
from backups.console.words import (
    HEADERS,
    backup_json,
    backup_named,
    known_kind,
    place_text,
    refused,
    row_of,
    shown,
    state_text,
)
from backups.models import Backup, Drill
from backups.retention.rules import Rules
from backups.services.contents import contents_read
from fleet.console import Exit, Screen, Subcommand
from fleet.services.agents import agent_named
from schedules.words import clock, span


class Ls(Subcommand):
    name = "ls"
    help = "List backups, newest first: what they hold, whether they were verified and drilled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agent", metavar="SLUG")
        parser.add_argument("--kind", metavar="KIND", help="workspace, database, …")
        parser.add_argument("--state", choices=[state.value for state in Backup.State])
        parser.add_argument("-n", type=int, default=50, metavar="N", help="how many (50)")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        rows = Backup.objects.of(organisation)
        rows = rows.filter(state=options["state"]) if options["state"] else rows.there()
        if options["agent"]:
            rows = rows.filter(agent_slug=agent_named(organisation, options["agent"]).slug)
        if options["kind"]:
            rows = rows.filter(kind=known_kind(options["kind"]))
        found = list(rows[: max(1, options["n"])])
        if options["json"]:
            screen.json([backup_json(backup) for backup in found])
        elif found:
            screen.table(HEADERS, [row_of(backup) for backup in found])
        else:
            screen.say("There are no such backups. Make one: manage.py backup create --agent SLUG")
        return Exit.DONE


class Show(Subcommand):
    name = "show"
    help = "Show a backup; with --files, what is in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", metavar="BACKUP", help="its number, its name, or latest")
        parser.add_argument("--agent", metavar="SLUG", help="whose latest")
        parser.add_argument("--files", action="store_true", help="list what is in it, from its manifest")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        backup = backup_named(self.organisation(options), options["backup"], agent=options["agent"] or "")
        if options["files"]:
            return _files(backup, screen, as_json=options["json"])
        if options["json"]:
            screen.json(backup_json(backup))
        else:
            screen.fields(_fields(backup))
        return Exit.DONE


def _fields(backup: Backup) -> dict[str, str]:
    drill = Drill.objects.filter(backup=backup, is_ok=True).first()
    values = {
        "backup": str(backup.pk),
        "archive": backup.name,
        "place": place_text(backup),
        "state": state_text(backup),
        "problem": backup.problem,
        "agent": backup.agent_slug,
        "kind": backup.kind,
        "source": f"{backup.source}{' in its container' if backup.in_container else ''}",
        "job": backup.schedule_name,
        "run": backup.job_run_id,
        "holds the state of": clock(backup.began_at),
        "unchanged until": clock(backup.still_at) if backup.still_at > backup.began_at else "",
        "size": f"{human_size(backup.size)} ({backup.size:,} bytes)",
        "holds": _held(backup),
        "sha256": backup.sha256,
        "encrypted for": backup.key_id,
        "kept by": Rules.model_validate(backup.retention).described() if not backup.tier else f"the {backup.tier} tier",
        "verified": clock(backup.verified_at) if backup.verified_at else "",
        "checked last": clock(backup.checked_at) if backup.checked_at else "",
        "drilled": f"{clock(backup.drilled_at)}, in {span(drill.seconds)}" if drill and backup.drilled_at else "",
        "deleted": f"{clock(backup.deleted_at)}: {backup.deleted_why}" if backup.deleted_at else "",
    }
    return {name: text for name, text in values.items() if text}


def _held(backup: Backup) -> str:
    if backup.entries is None:
        return "not read yet"
    noted = [f"{backup.skipped} left out" if backup.skipped else "", f"{backup.changed} changed meanwhile"]
    told = "".join(f", {text}" for text in noted if text and not text.startswith("0 "))
    return f"{backup.entries:,} entries, {human_size(backup.tree_bytes or 0)}{told}"


def _files(backup: Backup, screen: Screen, *, as_json: bool) -> int:
    try:
        contents = contents_read(backup)
    except ArchiveError as error:
        raise refused(error) from error
    with contextlib.closing(contents.lines) as lines:
        entries = Contents(manifest=None, lines=lines).entries()
        if as_json:
            screen.json(list(entries))
            return Exit.DONE
        for entry in entries:
            link = f" -> {shown(entry['link'])}" if "link" in entry else ""
            screen.data(f"{entry['mode']}  {entry.get('size', ''):>12}  {shown(entry['path'])}{link}")
    return Exit.DONE
