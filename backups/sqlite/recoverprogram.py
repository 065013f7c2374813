"""A ``sqlite3`` program that knows ``.recover``: it finds rows by looking at every page, without the list of tables.

The better means for one case only, a file whose first pages are gone; where the tables are known, reading them
row by row tells what was lost, and the program doesn't.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from backups.sqlite.child import Line
from backups.sqlite.errors import RecoveryFailedError
from backups.sqlite.rebuilding import NewDatabase, open_new

_NAMES = ("sqlite3",)
_MARK = "found-by-recover"
_SECONDS = 20.0
#: Characters of one statement: what is longer is no row that SQLite would take.
_MOST_STATEMENT = 1_000_000_000


def recovering_program() -> str | None:
    """The first ``sqlite3`` program on PATH that can recover, found by letting it: Debian's has the command, and an
    error for an answer."""
    found = (shutil.which(name) for name in _NAMES)
    return next((each for each in found if each is not None and _recovers(each)), None)


def _recovers(program: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="recover-") as folder:
        path = Path(folder) / "probe.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE probe(mark)")
            connection.execute("INSERT INTO probe VALUES(?)", (_MARK,))
        try:
            done = subprocess.run(_command(program, str(path)), capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0 and _MARK.encode() in done.stdout


def _command(program: str, path: str) -> list[str]:
    return [program, "-batch", "-init", "/dev/null", f"file:{quote(path)}?mode=ro&immutable=1", ".recover"]


def recover_by_program(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    """Run the program and what it says, statement by statement, as it is made of a hostile file. Runs in the child."""
    new = open_new(str(request["target"]))
    path = f"/proc/self/fd/{int(request['folder'])}/{request['name']}"
    refused = 0
    with subprocess.Popen(  # noqa: S603 - the program that was tried
        _command(str(request["program"]), path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pass_fds=(int(request["folder"]),),
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the types: it is a pipe
        try:
            for statement in _statements(process.stdout):
                line.beat()
                refused += not new.adopt(statement)
        finally:
            process.kill()
    return {"tables": _counted(new, str(request["name"])), "notes": [_note(refused)]}


def _statements(lines: Iterator[str]) -> Iterator[str]:
    statement = ""
    for each in lines:
        statement += each
        if len(statement) > _MOST_STATEMENT:
            return
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _counted(new: NewDatabase, name: str) -> list[dict[str, object]]:
    counts = new.counts()
    new.finish()
    if not any(counts.values()):
        raise RecoveryFailedError(
            f"Nothing of {name} can be recovered: neither is the list of its tables readable, nor did sqlite3's "
            ".recover find a row. Restore the newest verified backup.",
        )
    return [
        {"name": each[:200], "rows": rows, "refused": 0, "lost": [], "incomplete": True}
        for each, rows in counts.items()
    ]


def _note(refused: int) -> str:
    return (
        "The list of tables can't be read, so sqlite3's .recover looked at every page: rows whose table it could not "
        f"tell lie in lost_and_found, and what is missing is unknown. {refused} of its statements were refused."
    )
