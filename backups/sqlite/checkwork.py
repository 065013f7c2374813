"""SQLite's own checks of a copy. Runs in the child."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Mapping
from typing import Any

from backups.sqlite.child import Line
from backups.sqlite.copyaccess import open_copy
from backups.sqlite.trouble import is_damage, translated

#: Characters of one problem: it may quote a hostile name.
_MOST_TEXT = 300
_STATEMENTS = {"quick": "PRAGMA quick_check({most})", "integrity": "PRAGMA integrity_check({most})"}


def check(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    most = int(request["most"])
    connection = open_copy(request, line)
    problems = _problems(connection, _STATEMENTS[request["level"]].format(most=most + 1), str(request["name"]))
    violations, note = (0, "") if problems else _foreign_keys(connection, int(request["most_violations"]))
    return {
        "problems": problems[:most],
        "more": len(problems) > most,
        "violations": violations,
        "note": note,
    }


def _problems(connection: sqlite3.Connection, statement: str, name: str) -> list[str]:
    """What is wrong, in SQLite's words. One row may tell several things."""
    try:
        rows = [str(row[0]) for row in connection.execute(statement)]
    except sqlite3.Error as error:
        if is_damage(error):
            return [str(error)[:_MOST_TEXT]]
        raise translated(error, name) from error
    lines = itertools.chain.from_iterable(row.splitlines() for row in rows)
    return [each[:_MOST_TEXT] for each in lines if each not in {"ok", "*** in database main ***"}]


def _foreign_keys(connection: sqlite3.Connection, most: int) -> tuple[int, str]:
    """The number of rows without their parent, at most ``most``; a schema that can't be checked is told."""
    try:
        return sum(1 for _ in itertools.islice(connection.execute("PRAGMA foreign_key_check"), most)), ""
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise translated(error, "The copy") from error
        return 0, str(error)[:_MOST_TEXT]
