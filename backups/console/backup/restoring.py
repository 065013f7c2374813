"""``backup restore``, ``confirm`` and ``undo``: through the engine where there is a record, from a file where not."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from backups.archive.contents import OneFile
from backups.archive.errors import ArchiveError
from backups.archive.extract import Wanted
from backups.archive.naming import TOP
from backups.archive.restore import Order, restore
from backups.archive.rules import Limits, trusting
from backups.archive.stores import Hooks
from backups.archive.terminal import human_size
from backups.console.backup.asking import Asking
from backups.console.files import decrypted_file, file_named, top_of_file
from backups.console.words import backup_named, refused
from backups.restorepayload import modes_of, owner_of, path_parts
from backups.services.requesting import undo_request
from backups.services.restores import restore_confirm, restore_found, restore_undo, undoable
from fleet.console import Exit, Screen, Subcommand
from fleet.console.progress import Bar
from fleet.errors import InvalidInput
from fleet.services.agents import agent_named

_EXECUTORS = {"workspace": "workspace.restore", "database": "database.restore"}


class RestoreCommand(Asking):
    name = "restore"
    help = "Bring a backup back: verified first, exchanged at once, the former tree kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", nargs="?", metavar="BACKUP", help="its number, its name, or latest")
        parser.add_argument("--agent", metavar="SLUG", help="whose latest")
        parser.add_argument("--kind", choices=sorted(_EXECUTORS), help="of the latest (workspace)")
        parser.add_argument("--path", action="append", default=[], metavar="PATH", help="only this; may be repeated")
        parser.add_argument("--to", metavar="FOLDER", help="beside, instead of to its place")
        parser.add_argument("--chown", metavar="UID:GID", help="1000:1000 for all that is restored")
        parser.add_argument("--folder-mode", metavar="MODE", help="such as 0700")
        parser.add_argument("--file-mode", metavar="MODE", help="such as 0600")
        parser.add_argument("--no-stop", action="store_true", help="leave the agent's container running meanwhile")
        parser.add_argument("--no-health", action="store_true", help="do not look whether the agent is well afterwards")
        parser.add_argument("--allow-damaged", action="store_true", help="try one that is not to be trusted")
        parser.add_argument("--file", metavar="ARCHIVE", help="an archive without a record, from this file; needs --to")
        parser.add_argument("--identity", metavar="FILE", help="what reads an encrypted --file")
        parser.add_argument("--force", action="store_true", help="with --file: exchange a folder that is not empty")
        parser.add_argument("--trust-size", action="store_true", help="with --file: no limits on what it unpacks to")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        super().add_arguments(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        if options["file"] and options["backup"]:
            raise InvalidInput("Either a file or a recorded backup: leave one out.", field="file")
        if options["file"]:
            return _from_file(options, screen)
        organisation = self.organisation(options)
        if not options["backup"]:
            raise InvalidInput("Which backup? Its number, its name, or latest with --agent; or --file.", field="backup")
        kind = (options["kind"] or "workspace") if options["backup"] == "latest" else ""
        if options["backup"] == "latest" and not options["agent"]:
            raise InvalidInput("Whose latest backup? Name an agent: --agent SLUG.", field="agent")
        backup = backup_named(organisation, options["backup"], agent=options["agent"] or "", kind=kind)
        executor = _EXECUTORS.get(backup.kind)
        if executor is None:
            raise InvalidInput(f"Backups of the kind {backup.kind} are restored by another command.", field="backup")
        agent = agent_named(organisation, backup.agent_slug)
        target = options["to"] or backup.source
        if not target:
            raise InvalidInput(f"{backup.name} does not say where it came from: name a folder with --to.", field="to")
        question = f"Restore {backup.name} to {target}? What is there now is kept beside it."
        if not screen.confirm(question, yes=options["yes"]):
            return Exit.FAILURE
        return self.ask(executor, _payload(backup.pk, options), agent, options, screen)


def _payload(backup: int, options: dict[str, Any]) -> dict[str, Any]:
    names = ("to", "chown", "folder_mode", "file_mode")
    payload: dict[str, Any] = {"backup": backup} | {name: options[name] for name in names if options[name]}
    if options["path"]:
        payload["paths"] = options["path"]
    if options["allow_damaged"]:
        payload["allow_damaged"] = True
    if options["no_stop"]:
        payload["stop_container"] = False
    if options["no_health"]:
        payload["health"] = "skip"
    return payload


def _from_file(options: dict[str, Any], screen: Screen) -> int:
    """Nothing but the archive is needed: no database, no watch."""
    if not options["to"]:
        raise InvalidInput("Where to? With --file name a folder: --to FOLDER.", field="to")
    path = file_named(options["file"])
    top = top_of_file(path)
    paths = tuple(map(path_parts, options["path"]))
    modes = modes_of(options["folder_mode"], options["file_mode"])
    try:
        with Bar(f"Restoring {path.name}") as bar:
            order = Order(
                target=Path(options["to"]).absolute(),
                top=top,
                force=options["force"] or bool(paths),
                wanted=Wanted(paths=paths, whole=top == TOP, owner=owner_of(options["chown"]), modes=modes),
                limits=trusting() if options["trust_size"] else Limits(),
                decrypted=decrypted_file(path, options["identity"]),
            )
            done = restore(OneFile(path), path.name, order, Hooks(on_chunk=lambda read, _: bar.at(read)))
    except ArchiveError as error:
        raise refused(error) from error
    if not done.verified:
        screen.say(f"There is no {path.name}.sha256 beside it: only the archive's own sums were compared.")
    if done.kept:
        screen.say(f"What was there before is kept in {done.kept}")
    screen.data(f"Restored {path.name} to {options['to']}: {done.entries} entries, {human_size(done.size)}")
    return Exit.DONE


class Confirm(Subcommand):
    name = "confirm"
    help = "A restore was right: remove the tree that was there before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("restore", type=int, metavar="RESTORE", help="the number that the restore told")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        found = restore_found(self.organisation(options), options["restore"])
        kept = found.kept
        was_there = bool(kept) and Path(kept).exists()
        question = f"Remove {found.kept}, which {found.target} was before {found.archive} was restored, for good?"
        if was_there and not screen.confirm(question, yes=options["yes"]):
            return Exit.FAILURE
        done = restore_confirm(restore=found, actor=self.actor())
        if done.kept:
            screen.say(f"{kept} could not be removed wholly: housekeeping tries again, or remove it yourself.")
        what = "Nothing" if done.kept or not was_there else kept
        screen.data(f"Confirmed: {done.target} stays. {what} was removed.")
        return Exit.DONE


class Undo(Asking):
    name = "undo"
    help = "A restore was wrong: bring the former tree back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("restore", type=int, metavar="RESTORE", help="the number that the restore told")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--now", action="store_true", help="here and at once, without a worker: stop the agent yourself before"
        )
        super().add_arguments(parser)

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        found = restore_found(self.organisation(options), options["restore"])
        question = (
            f"Bring back what was in {found.target} before {found.archive} was restored, and lose what came since?"
        )
        if not found.kept:
            question = f"Remove what was restored to {found.target}, with what came since? Nothing was there before."
        undoable(found)
        if not screen.confirm(question, yes=options["yes"]):
            return Exit.FAILURE
        if not options["now"]:
            return self.follow(undo_request(restore=found, actor=self.actor()), options, screen)
        try:
            done = restore_undo(restore=found, actor=self.actor())
        except ArchiveError as error:
            raise refused(error) from error
        screen.data(f"Undone: {done.target} is what it was before {done.archive} was restored.")
        return Exit.DONE
