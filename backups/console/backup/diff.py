"""``backup diff``: what differs between two archives, or between an archive and what is there now."""

from __future__ import annotations

import contextlib
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backups.archive.errors import ArchiveError
from backups.archive.folder import Scope, open_folder, pack_folder
from backups.archive.manifest import is_entry
from backups.archive.stores import Hooks
from backups.archive.tarwriter import TarWriter
from backups.console.backup.listing import contents_read
from backups.console.words import backup_named, refused, shown
from backups.models import Backup
from backups.services.verification import top_of
from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput

_SAME = ("type", "size", "sha256", "link", "mode")


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
        before = _entries(one)
        other = backup_named(organisation, options["other"], agent=whose) if options["other"] else None
        after = _entries(other) if other else _now(one)
        changes = list(_changes(before, after))
        if options["json"]:
            screen.json([{"path": path, "change": change} for change, path in changes])
        else:
            for change, path in changes:
                screen.data(f"{change:<8} {shown(path)}")
            if not changes:
                screen.say("Nothing differs.")
        return Exit.FAILURE if changes else Exit.DONE


def _entries(backup: Backup) -> dict[str, dict[str, Any]]:
    contents = contents_read(backup)
    with contextlib.closing(contents.lines):
        return {entry["path"]: entry for entry in contents.entries()}


def _now(backup: Backup) -> dict[str, dict[str, Any]]:
    """What an archive of the source would hold now: packed, and thrown away but for its manifest."""
    if backup.in_container or backup.kind != "workspace":
        raise InvalidInput(
            "Only a workspace's folder on this host can be compared: name another backup.", field="other"
        )
    found: dict[str, dict[str, Any]] = {}
    try:
        with TarWriter(lambda _: None, Hooks()) as writer:
            pack_folder(open_folder(Path(backup.source)), writer, Scope(top=top_of(backup.kind)))
            for line in writer.manifest_lines():
                if is_entry(line):
                    entry = json.loads(line)
                    found[entry["path"]] = entry
    except ArchiveError as error:
        raise refused(error) from error
    return found


def _changes(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield "removed", path
        elif path not in before:
            yield "added", path
        elif changed := [name for name in _SAME if before[path].get(name) != after[path].get(name)]:
            yield ("mode" if changed == ["mode"] else "changed"), path
