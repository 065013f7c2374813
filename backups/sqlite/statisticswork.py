"""Counting what a copy holds. Runs in the child."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from backups.sqlite.child import Line
from backups.sqlite.copyaccess import open_copy, quoted
from backups.sqlite.trouble import is_damage, translated

_TABLES = """
    SELECT name FROM sqlite_master
    WHERE type = 'table' AND sql IS NOT NULL AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'
    ORDER BY rowid LIMIT ?
"""
_BYTES = "SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE"
_INDEX_OWNERS = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"
#: A key's kind is what stands before its first colon, as `images:img_1` is one of `images`.
_KEYS = """
    SELECT COALESCE(substr(key, 1, instr(key, ':') - 1), ''),
           COUNT(*), SUM(COALESCE(LENGTH(CAST(key AS BLOB)), 0) + COALESCE(LENGTH(CAST(value AS BLOB)), 0))
    FROM {table} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?
"""  # - the table's name is quoted
_KEY_COLUMNS = frozenset({"key", "value"})
_MOST_TEXT = 200


class _Clock:
    """Ends a statement when the time for all of them is over, and all of them when the work must end."""

    def __init__(self, connection: sqlite3.Connection, line: Line, seconds: float) -> None:
        self._connection, self._line = connection, line
        self._until = time.monotonic() + seconds
        connection.set_progress_handler(self._look, 10_000)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._until

    def _look(self) -> int:
        self._line.beat()  # raising interrupts, too
        return int(self.over)

    def rows(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]] | None:
        """None when there was no time, or the database has no answer."""
        if self.over:
            return None
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            self._line.beat()
            if not (is_damage(error) or isinstance(error, sqlite3.OperationalError)):
                raise translated(error, "The copy") from error
            return None


def statistics(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    connection = open_copy(request, line)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    clock = _Clock(connection, line, float(request["seconds"]))
    most = int(request["most_tables"])
    names = [str(row[0]) for row in clock.rows(_TABLES, (most + 1,)) or []]
    sizes = _sizes(clock)
    tables = [_table(clock, name, sizes) for name in names[:most]]
    keys = [each for name in names[:most] for each in _keys(clock, name, int(request["most_kinds"]))]
    return {
        "tables": tables,
        "keys": keys,
        "more": len(names) > most,
        "timed_out": clock.over,
        "free_pages": _number(clock.rows("PRAGMA freelist_count")),
        "pages": _number(clock.rows("PRAGMA page_count")),
    }


def _sizes(clock: _Clock) -> dict[str, int] | None:
    """Bytes by table, its indexes included; None where the library has no dbstat."""
    rows = clock.rows(_BYTES)
    if rows is None:
        return None
    owners = dict(clock.rows(_INDEX_OWNERS) or [])
    sizes: dict[str, int] = {}
    for name, size in rows:
        owner = owners.get(name, name)
        sizes[owner] = sizes.get(owner, 0) + size
    return sizes


def _table(clock: _Clock, name: str, sizes: dict[str, int] | None) -> dict[str, object]:
    counted = clock.rows(f"SELECT COUNT(*) FROM {quoted(name)}")  # noqa: S608 - a quoted name
    return {
        "name": name[:_MOST_TEXT],
        "rows": None if counted is None else counted[0][0],
        "size": None if sizes is None else sizes.get(name),
    }


def _keys(clock: _Clock, name: str, most: int) -> list[dict[str, object]]:
    columns = {str(row[1]) for row in clock.rows(f"PRAGMA table_info({quoted(name)})") or []}
    if not columns >= _KEY_COLUMNS:
        return []
    rows = clock.rows(_KEYS.format(table=quoted(name)), (most,)) or []
    return [
        {"table": name[:_MOST_TEXT], "kind": str(kind)[:_MOST_TEXT], "rows": count, "size": size or 0}
        for kind, count, size in rows
    ]


def _number(rows: list[tuple[Any, ...]] | None) -> int:
    return int(rows[0][0]) if rows else 0
