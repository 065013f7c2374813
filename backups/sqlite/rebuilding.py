"""Writing what was recovered into a new database. Runs in the child."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backups.sqlite.copyaccess import quoted

#: A hostile schema can't make the new file much larger than the damaged one.
_MOST_GROWTH, _SPARE_PAGES = 4, 1000
_FORBIDDEN = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA})

_ADOPTED_PRAGMAS = frozenset(
    {"application_id", "auto_vacuum", "encoding", "foreign_keys", "page_size", "user_version", "writable_schema"},
)


class RawText(bytes):
    """Text that is not valid in its encoding, to be kept as it is."""

    __slots__ = ()


def as_text(data: bytes) -> str | RawText:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return RawText(data)


class NewDatabase:
    """The new file. Statements of the damaged schema run here one by one, and can't reach another file."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "trusted_schema=OFF", "temp_store=MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}")

    def begin(self, source: sqlite3.Connection) -> None:
        """Take over what a file has besides its schema and rows."""
        for pragma in ("page_size", "encoding", "auto_vacuum", "user_version", "application_id"):
            (value,) = source.execute(f"PRAGMA {pragma}").fetchone()
            self._connection.execute(f"PRAGMA {pragma}={quoted(str(value))}")
        (pages,) = source.execute("PRAGMA page_count").fetchone()
        self._connection.execute(f"PRAGMA max_page_count={_MOST_GROWTH * pages + _SPARE_PAGES}")
        self._connection.execute("BEGIN")

    def create(self, sql: str) -> str:
        """Run one statement of the damaged schema. Answers what is wrong with it, or nothing."""
        if sql.lstrip()[:6].upper() != "CREATE":
            return "it is no CREATE statement"
        self._connection.set_authorizer(_authorize)
        try:
            self._connection.execute(sql)
        except (sqlite3.Error, sqlite3.Warning) as error:
            return str(error)[:200]
        finally:
            self._connection.set_authorizer(None)
        return ""

    def insert(self, table: str, columns: Sequence[str], row: Sequence[Any]) -> bool:
        """Whether the row was taken: one that breaks a rule of its table is damaged, or there already."""
        values = ", ".join("CAST(? AS TEXT)" if isinstance(value, RawText) else "?" for value in row)
        names = ", ".join(map(quoted, columns))
        statement = f"INSERT OR IGNORE INTO {quoted(table)}({names}) VALUES({values})"
        try:
            return self._connection.execute(statement, row).rowcount > 0
        except sqlite3.IntegrityError:  # of a STRICT table
            return False

    def sequence(self, name: str, value: int) -> None:
        """Where AUTOINCREMENT goes on; never below what the rows themselves need."""
        self._connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (value, name))
        self._connection.execute(
            "INSERT INTO sqlite_sequence(name, seq) SELECT ?, ? "
            "WHERE NOT EXISTS(SELECT 1 FROM sqlite_sequence WHERE name = ?)",
            (name, value, name),
        )

    def add_virtual(self, name: str, sql: str) -> None:
        """A virtual table is only its entry in the schema: its content lies in tables that were copied."""
        self._connection.execute("PRAGMA writable_schema=ON")
        self._connection.execute(
            "INSERT INTO sqlite_master(type, name, tbl_name, rootpage, sql) VALUES('table', ?, ?, 0, ?)",
            (name, name, sql),
        )
        self._connection.execute("PRAGMA writable_schema=OFF")

    def adopt(self, statement: str) -> bool:
        """Run one statement of a program that read the damaged file. Whether it could be run."""
        self._connection.set_authorizer(_authorize_adopted)
        try:
            self._connection.execute(statement)
        except (sqlite3.Error, sqlite3.Warning, UnicodeError):
            return False
        finally:
            self._connection.set_authorizer(None)
        return True

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        names = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0")
        return {
            str(name): int(self._connection.execute(f"SELECT COUNT(*) FROM {quoted(name)}").fetchone()[0])  # noqa: S608
            for (name,) in names.fetchall()
        }

    def finish(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        self._connection.close()


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in _FORBIDDEN else sqlite3.SQLITE_OK


def _authorize_adopted(action: int, first: str | None, *_: object) -> int:
    if action == sqlite3.SQLITE_PRAGMA and first in _ADOPTED_PRAGMAS:
        return sqlite3.SQLITE_OK
    return _authorize(action)


def open_new(path: str) -> NewDatabase:
    """The existing empty file ``path`` of ours as a database."""
    if Path(path).stat().st_size:
        raise FileExistsError(path)
    return NewDatabase(path)
