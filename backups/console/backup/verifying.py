"""``backup verify``: read all of an archive and say whether it is whole."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from backups.archive.contents import OneFile
from backups.archive.errors import ArchiveError
from backups.archive.stores import Hooks
from backups.archive.terminal import human_size
from backups.console.files import decrypted_file, file_named, kind_of_file
from backups.console.words import backup_named, refused
from backups.models import Backup
from backups.services.verification import Checked, archive_check, backup_verify
from fleet.console import Exit, Screen, Subcommand
from fleet.console.progress import Bar
from fleet.errors import InvalidInput
from fleet.services.agents import agent_named


class Verify(Subcommand):
    name = "verify"
    help = "Read backups back, from the first byte to the last. Exit code: 0 whole, 1 damaged."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", nargs="*", metavar="BACKUP", help="numbers or names")
        parser.add_argument("--agent", metavar="SLUG", help="all of this agent")
        parser.add_argument("--file", metavar="ARCHIVE", help="an archive without a record")
        parser.add_argument("--identity", metavar="FILE", help="what reads an encrypted --file")
        parser.add_argument("--trust-size", action="store_true", help="with --file: no limits on what it unpacks to")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        if options["file"] and (options["backup"] or options["agent"]):
            raise InvalidInput("Either a file or recorded backups: leave one out.", field="file")
        found = _file(options) if options["file"] else self._recorded(options)
        if options["json"]:
            screen.json([_as_json(name, checked) for name, checked in found])
        else:
            for name, checked in found:
                screen.data(_line(name, checked))
        return Exit.FAILURE if any(checked.problem for _, checked in found) else Exit.DONE

    def _recorded(self, options: dict[str, Any]) -> list[tuple[str, Checked]]:
        organisation = self.organisation(options)
        backups = [backup_named(organisation, text, agent=options["agent"] or "") for text in options["backup"]]
        if options["agent"] and not backups:
            slug = agent_named(organisation, options["agent"]).slug
            backups = list(Backup.objects.of(organisation).there().filter(agent_slug=slug))
        if not backups:
            raise InvalidInput("Which backups? Name them, or an agent (--agent), or a file (--file).", field="backup")
        return [(backup.name, _verified(backup)) for backup in backups]


def _verified(backup: Backup) -> Checked:
    try:
        with Bar(f"Reading {backup.name}", total=backup.tree_bytes or 0) as bar:
            return backup_verify(backup=backup, hooks=Hooks(on_chunk=lambda read, _: bar.at(read)))
    except ArchiveError as error:
        raise refused(error) from error


def _file(options: dict[str, Any]) -> list[tuple[str, Checked]]:
    path = file_named(options["file"])
    try:
        with Bar(f"Reading {path.name}") as bar:
            checked = archive_check(
                OneFile(path),
                path.name,
                kind=kind_of_file(path),
                is_ours=options["trust_size"],
                decrypted=decrypted_file(path, options["identity"]),
                hooks=Hooks(on_chunk=lambda read, _: bar.at(read)),
            )
    except ArchiveError as error:
        raise refused(error) from error
    return [(path.name, checked)]


def _line(name: str, checked: Checked) -> str:
    if checked.found is None:
        return f"{'REFUSED' if checked.is_refused else 'DAMAGED'}  {name}: {checked.problem}"
    found = checked.found
    manifest = "each as its manifest says" if found.manifest else "it has no manifest"
    return f"whole    {name}: {found.entries} entries, {human_size(found.size)}, {manifest}"


def _as_json(name: str, checked: Checked) -> dict[str, Any]:
    found = checked.found
    counts = {"entries": found.entries, "bytes": found.size, "sha256": found.sha256} if found else {}
    return {"name": name, "whole": not checked.problem, "problem": checked.problem} | counts
