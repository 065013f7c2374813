"""``backup recover``: what is left of a damaged SQLite database, as a new one. Needs nothing but the file."""

from __future__ import annotations

import os
import shlex
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backups.archive.errors import ArchiveError, DiskFullError, PlaceRefusedError, StoreFailedError
from backups.sqlite.copying import copy_database
from backups.sqlite.errors import DatabaseMissingError, RecoveryFailedError
from backups.sqlite.recovery import Recovered, RecoveredTable, recover_database
from fleet.console import Exit, Screen, Subcommand

#: What SQLite would take for a part of a database that is named so.
_COMPANIONS = ("-wal", "-shm", "-journal")
_MOST_RANGES = 5
#: Where trying the file itself can't help.
_FINAL = (DatabaseMissingError, DiskFullError, PlaceRefusedError, StoreFailedError)


class Recover(Subcommand):
    name = "recover"
    help = "Recover what is left of a damaged SQLite database into a new file; the damaged one is only read."
    scoped = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = (
            "Exit code: 0 all of it was recovered, 1 something is lost (the new file is there) or it failed."
        )
        parser.add_argument(
            "--file", required=True, metavar="DAMAGED", help="the damaged database; stop its agent first"
        )
        parser.add_argument("--to", required=True, metavar="NEW", help="the new file, which must not exist yet")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        damaged, target = Path(options["file"]).resolve(), Path(os.path.abspath(options["to"]))  # noqa: PTH100 - no link
        try:
            _refuse_other(damaged)
            _refuse_taken(target)
            recovered, unseen = _recover(damaged, target)
        except ArchiveError as error:
            if options["json"]:
                screen.json({"file": str(damaged), "to": None, "whole": False, "error": error.code})
            screen.error(str(error))
            return Exit.FAILURE
        notes = [*recovered.notes, *unseen]
        is_whole = recovered.whole and not unseen
        if options["json"]:
            screen.json(_json(damaged, target, recovered, notes, is_whole=is_whole))
        else:
            _show(recovered, notes, screen)
        _say_what_next(damaged, target, screen, is_whole=is_whole)
        return Exit.DONE if is_whole else Exit.FAILURE


def _refuse_other(damaged: Path) -> None:
    if damaged.exists() and not damaged.is_file():
        raise PlaceRefusedError(
            f"{damaged} is not a file, so it is no database. Name the damaged file itself (--file)."
        )
    if damaged.exists() and not damaged.stat().st_size:
        raise RecoveryFailedError(
            f"{damaged} has no bytes, so nothing is left of it. Restore the newest verified backup."
        )


def _refuse_taken(target: Path) -> None:
    """Not the file only: a journal that lies there would be worked into the new database when it is opened."""
    for suffix in ("", *_COMPANIONS):
        taken = Path(f"{target}{suffix}")
        if os.path.lexists(taken):
            raise PlaceRefusedError(f"{taken} exists, and nothing is overwritten. Name another file (--to).")
    if not target.parent.is_dir():
        raise PlaceRefusedError(f"There is no folder {target.parent}. Make it first, or name another file (--to).")


def _recover(damaged: Path, target: Path) -> tuple[Recovered, list[str]]:
    """What was recovered, and what could not be looked at."""
    with _copied(damaged, target) as (copy, unseen):
        return recover_database(copy, target), unseen


@contextmanager
def _copied(damaged: Path, target: Path) -> Iterator[tuple[Path, list[str]]]:
    """A copy that nobody else writes to, with what waits in the files beside it; else the file itself."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".recover-") as folder:
        copy = Path(folder) / damaged.name
        try:
            copy_database(damaged.parent, damaged.name, copy)
        except _FINAL:
            raise
        except ArchiveError as error:
            yield damaged, _unseen(damaged, error)
        else:
            yield copy, []


def _unseen(damaged: Path, error: ArchiveError) -> list[str]:
    beside = [name for suffix in ("-wal", "-journal") if _has_bytes(name := Path(f"{damaged}{suffix}"))]
    if not beside:
        return []
    names = " and ".join(name.name for name in beside)
    return [f"What waits in {names} is not in the new file, since it could not be worked in ({error})"]


def _has_bytes(path: Path) -> bool:
    try:
        return bool(path.lstat().st_size)
    except OSError:
        return False


def _show(recovered: Recovered, notes: list[str], screen: Screen) -> None:
    rows = [[table.name, f"{table.rows:,}", _lost(table)] for table in recovered.tables]
    screen.table(["TABLE", "ROWS RECOVERED", "LOST"], rows)
    for note in notes:
        screen.data(f"Note: {note}")


def _lost(table: RecoveredTable) -> str:
    """In words; how many rows were in what can't be read nobody knows."""
    parts = []
    if table.lost:
        ranges = [f"{low:,}" if low == high else f"{low:,} to {high:,}" for low, high in table.lost[:_MOST_RANGES]]
        more = f" and {len(table.lost) - _MOST_RANGES:,} more ranges" if len(table.lost) > _MOST_RANGES else ""
        parts.append(f"what had the row ids {', '.join(ranges)}{more}")
    if table.refused:
        parts.append(f"{table.refused:,} rows that break a rule of their table")
    if table.incomplete:
        parts.append("an unknown part of it")
    return "; ".join(parts) or "nothing"


def _json(damaged: Path, target: Path, recovered: Recovered, notes: list[str], *, is_whole: bool) -> dict[str, Any]:
    tables = [
        {
            "name": table.name,
            "rows": table.rows,
            "whole": table.whole,
            "refused": table.refused,
            "lost_row_ids": [list(each) for each in table.lost],
            "incomplete": table.incomplete,
        }
        for table in recovered.tables
    ]
    return {"file": str(damaged), "to": str(target), "whole": is_whole, "tables": tables, "notes": notes}


def _say_what_next(damaged: Path, target: Path, screen: Screen, *, is_whole: bool) -> None:
    found = "Every row that SQLite knows of was recovered" if is_whole else "What could be read was recovered"
    old, new = shlex.quote(str(damaged)), shlex.quote(str(target))
    screen.say(
        f"{found} into {target}, which passes SQLite's integrity check. Bytes that changed within a row can't be seen: "
        "compare with the last good backup before you trust it.\n"
        f"To use it: stop the agent; keep the damaged file (mv {old} {old}.damaged); remove {old}-wal, -shm and "
        f"-journal if they are there; mv {new} {old}; give it the owner and the mode of the damaged one; start the "
        "agent.",
    )
