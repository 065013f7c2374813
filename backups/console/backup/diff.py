"""``backup diff``: what differs between two archives, or between an archive and what is there now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from backups.archive.errors import ArchiveError
from backups.console.words import backup_named, refused, shown
from backups.services.contents import changes, entries_now, entries_of
from fleet.console import Exit, Screen, Subcommand


class Diff(Subcommand):
    name = "diff"
    help = "What differs between two backups, or between one and its source now. Exit code: 0 nothing, 1 something."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("one", metavar="BACKUP")
        parser.add_argument("other", nargs="?", metavar="BACKUP", help="another one; else what is there now")
        parser.add_argument("--agent", metavar="SLUG", help="whose latest")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        whose = options["agent"] or ""
        one = backup_named(organisation, options["one"], agent=whose)
        other = backup_named(organisation, options["other"], agent=whose) if options["other"] else None
        try:
            before = entries_of(one)
            after = entries_of(other) if other else entries_now(one)
        except ArchiveError as error:
            raise refused(error) from error
        found = list(changes(before, after))
        if options["json"]:
            screen.json([{"path": path, "change": change} for change, path in found])
        else:
            for change, path in found:
                screen.data(f"{change:<8} {shown(path)}")
            if not found:
                screen.say("Nothing differs.")
        return Exit.FAILURE if found else Exit.DONE
