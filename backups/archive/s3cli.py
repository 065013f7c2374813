"""The ``s3`` command that an agent's container installs."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from backups.archive.backup import Contents, Made, make_archive
from backups.archive.errors import ArchiveError, EndedEarlyError
from backups.archive.folder import open_folder, pack_folder
from backups.archive.manifest import About
from backups.archive.restore import Order, restore
from backups.archive.s3env import Environment, EnvironmentValueError, environment_help, read_environment
from backups.archive.s3store import S3Store
from backups.archive.stores import Hooks, Stored
from backups.archive.terminal import Progress, green, human_size, say, tell

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class _Signals:
    """Makes SIGTERM and SIGINT an exception at the next chunk, so that an upload is aborted, not left."""

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.received = number

    def check(self) -> None:
        if self.received:
            name = signal.Signals(self.received).name
            raise EndedEarlyError(f"ended by {name}. Nothing was published and the upload was removed.")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    signals = _Signals()
    try:
        environment = read_environment(os.environ)
        _COMMANDS[arguments.command](arguments, environment, signals)
    except EnvironmentValueError as error:
        return _fail(arguments, str(error), USAGE)
    except ArchiveError as error:
        interrupted = isinstance(error, EndedEarlyError) and signals.received == signal.SIGINT
        return _fail(arguments, str(error), INTERRUPTED if interrupted else FAILED)
    except BrokenPipeError:
        # Whoever read our output went away; nothing can be said to him any more.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return FAILED
    except Exception as error:  # noqa: BLE001 - a person gets one line, whatever happened
        return _fail(arguments, f"{type(error).__name__}: {error}", FAILED)
    return DONE


def _fail(arguments: argparse.Namespace, reason: str, code: int) -> int:
    title = {"ls": "List"}.get(arguments.command, str(arguments.command).capitalize())
    tell(f"{title} failed: {' '.join(reason.split())}")
    return code


def _store(environment: Environment, signals: _Signals) -> S3Store:
    return S3Store(environment.s3, environment.prefix, on_wait=signals.check)


def _backup(_: argparse.Namespace, environment: Environment, signals: _Signals) -> None:
    # The folder first: a missing one is the more basic fault, and needs no network to be seen.
    descriptor = open_folder(environment.folder)
    os.close(descriptor)
    with Progress("Backing up", signals.check) as progress:
        hooks = Hooks(on_chunk=progress.chunk, on_wait=progress.wait)
        made = make_archive(
            _store(environment, signals),
            Contents(
                pack=lambda writer: pack_folder(open_folder(environment.folder), writer).value,
                about=About(agent=environment.agent, source=str(environment.folder)),
            ),
            keep=environment.keep,
            hooks=hooks,
        )
    _report(made)


def _report(made: Made) -> None:
    for note in made.packed.notes:
        tell(f"Note: {note}")
    if made.warning:
        tell(f"Warning: {made.warning}")
    say(green(f"[S3] Backup completed successfully: {made.name}"))


def _ls(arguments: argparse.Namespace, environment: Environment, signals: _Signals) -> None:
    archives = _store(environment, signals).archives()
    if arguments.json:
        say(json.dumps([_as_json(archive) for archive in archives], indent=2))
        return
    for archive in archives:
        say(f"{archive.name}  {human_size(archive.size):>9}  {archive.modified:%Y-%m-%d %H:%M:%S}Z")
    if not archives:
        tell("No backups yet. Make one with: s3 backup")


def _as_json(archive: Stored) -> dict[str, object]:
    return {"name": archive.name, "size": archive.size, "modified": archive.modified.isoformat()}


def _restore(arguments: argparse.Namespace, environment: Environment, signals: _Signals) -> None:
    target = Path(arguments.to) if arguments.to else environment.folder
    with Progress("Restoring", signals.check) as progress:
        hooks = Hooks(on_chunk=progress.chunk, on_wait=progress.wait, before_publish=signals.check)
        order = Order(target=target, force=arguments.force)
        done = restore(_store(environment, signals), arguments.name, order, hooks)
    if not done.verified:
        tell("Warning: no checksum was stored beside this archive.")
    if done.kept is not None:
        tell(f"What was there before is kept in {done.kept}")
    say(green(f"[S3] Restore completed successfully: {arguments.name} -> {target} ({done.entries} entries)"))


def _delete(arguments: argparse.Namespace, environment: Environment, signals: _Signals) -> None:
    if not arguments.yes and not _confirmed(arguments.name):
        raise ArchiveError("not confirmed, so nothing was deleted. Say yes, or give --yes.")
    _store(environment, signals).delete(arguments.name)
    say(green(f"[S3] Deleted: {arguments.name}"))


def _confirmed(name: str) -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"Delete {name} for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


_COMMANDS = {"backup": _backup, "ls": _ls, "restore": _restore, "delete": _delete}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="s3",
        description="Back up this agent's workspace to S3, and bring it back.",
        epilog=environment_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("backup", help="archive the workspace to S3 and keep the newest few")
    ls = commands.add_parser("ls", help="list the archives, newest first")
    ls.add_argument("--json", action="store_true", help="for programs")
    back = commands.add_parser("restore", help="bring an archive back, verified first")
    back.add_argument("name", metavar="NAME", help="workspace_YYYYMMDD_HHMMSS.tar.gz, see: s3 ls")
    back.add_argument("--to", metavar="FOLDER", help="where to (default: the workspace)")
    back.add_argument("--force", action="store_true", help="exchange a folder that is not empty; it is kept beside")
    delete = commands.add_parser("delete", help="delete an archive and its checksum")
    delete.add_argument("name", metavar="NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
