"""``backup prune`` and ``backup adopt``: what stays, and what others made."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from backups.archive.errors import ArchiveError
from backups.archive.s3store import clean_prefix
from backups.archive.terminal import human_size
from backups.console.words import refused
from backups.models import Backup
from backups.places import Place
from backups.retention.copies import Verdict
from backups.services.adoption import archives_adopt
from backups.services.pruning import backup_remove, plan_of
from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from fleet.models import Organisation
from fleet.services.agents import agent_named


class Prune(Subcommand):
    name = "prune"
    help = "Remove the archives that no rule keeps; never the last good one. --dry-run shows the plan."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agent", metavar="SLUG")
        parser.add_argument("--dry-run", action="store_true", help="only show what would stay and go, and why")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="with --dry-run")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        plan = _plan(self.organisation(options), options["agent"])
        gone = [(backup, verdict) for backup, verdict in plan if not verdict.is_kept]
        if options["dry_run"] and options["json"]:
            screen.json([_as_json(backup, verdict) for backup, verdict in plan])
            return Exit.DONE
        if options["dry_run"]:
            screen.table(["", "ID", "AGENT", "ARCHIVE", "STATE", "SIZE", "WHY"], [_row(*each) for each in plan])
        if not gone:
            screen.say("Nothing goes: every archive is kept by a rule. Those in the tiers go in the tiers' own times.")
        if options["dry_run"] or not gone:
            return Exit.DONE
        size = human_size(sum(backup.size for backup, _ in gone))
        if not screen.confirm(f"Remove {len(gone)} archives ({size})? --dry-run shows them.", yes=options["yes"]):
            return Exit.FAILURE
        return self._remove(gone, screen)

    def _remove(self, gone: list[tuple[Backup, Verdict]], screen: Screen) -> int:
        for backup, verdict in reversed(gone):
            try:
                backup_remove(backup=backup, why=verdict.why[0], actor=self.actor())
            except ArchiveError as error:
                raise refused(error) from error
            screen.data(f"Removed {backup.name}: {verdict.why[0]}")
        return Exit.DONE


def _plan(organisation: Organisation, agent: str | None) -> list[tuple[Backup, Verdict]]:
    rows = Backup.objects.of(organisation).there()
    if agent:
        rows = rows.filter(agent_slug=agent_named(organisation, agent).slug)
    return plan_of(rows)


def _row(backup: Backup, verdict: Verdict) -> list[str]:
    mark = "keep" if verdict.is_kept else "GO"
    size = human_size(backup.size)
    return [mark, str(backup.pk), backup.agent_slug, backup.name, backup.state, size, "; ".join(verdict.why)]


def _as_json(backup: Backup, verdict: Verdict) -> dict[str, Any]:
    told = {"id": backup.pk, "agent": backup.agent_slug, "name": backup.name, "size": backup.size}
    return told | {"keep": verdict.is_kept, "why": list(verdict.why)}


class Adopt(Subcommand):
    name = "adopt"
    help = "Record archives that were made without us (s3 backup in a container, seed 002's backup.sh)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agent", required=True, metavar="SLUG", help="whose they are")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--prefix", metavar="PREFIX", help="in S3: workspace/SLUG is where `s3 backup` puts them")
        where.add_argument("--folder", metavar="FOLDER", help="on this host: /var/backups/portagent in seed 002")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        agent = agent_named(self.organisation(options), options["agent"])
        try:
            place = _place(options, agent.slug)
            found = archives_adopt(agent=agent, place=place, actor=self.actor())
        except ArchiveError as error:
            raise refused(error) from error
        for backup in found:
            screen.data(f"{backup.pk}  {backup.name}  {human_size(backup.size)}")
        if found:
            screen.say(f"Adopted {len(found)}. Read them back: manage.py backup verify --agent {agent.slug}")
        else:
            screen.say(f"Nothing new lies in {place.root}/{place.prefix}")
        screen.say(
            "Taken is what is named workspace_YYYYMMDD_HHMMSS.tar.gz or backup-YYYYMMDD_HHMMSS.tar.gz; all else is "
            "passed over."
        )
        return Exit.DONE


def _place(options: dict[str, Any], slug: str) -> Place:
    if options["folder"]:
        folder = Path(options["folder"])
        if not folder.is_dir():
            raise InvalidInput(f"There is no folder {folder}.", field="folder")
        return Place(storage="folder", root=str(folder.resolve()), prefix="")
    if options["prefix"] == "":
        raise InvalidInput("--prefix is empty: name one, such as workspace/lead, or leave it out.", field="prefix")
    prefix = clean_prefix(options["prefix"] or f"workspace/{slug}")
    return Place(storage="s3", root=settings.WATCHBILL.s3.bucket, prefix=prefix)
