"""Recovering what can be read of a damaged database, table by table. Runs in the child."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from backups.sqlite.child import Line
from backups.sqlite.copyaccess import open_copy, quoted
from backups.sqlite.errors import RecoveryFailedError
from backups.sqlite.pagemap import PageMap, merged
from backups.sqlite.places import open_file
from backups.sqlite.rangereading import Row, read_around
from backups.sqlite.rebuilding import NewDatabase, as_text, open_new
from backups.sqlite.treepages import Range
from backups.sqlite.trouble import is_damage, translated

_MASTER = "type, name, tbl_name, rootpage, sql"
_ROWIDS = ("rowid", "_rowid_", "oid")
_MOST_RANGES, _MOST_NOTES, _MOST_TABLES = 1_000, 200, 100_000


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A row of the schema."""

    kind: str
    name: str
    root: int
    sql: str

    @property
    def virtual(self) -> bool:
        return self.sql.lstrip()[:14].upper() == "CREATE VIRTUAL"


@dataclass
class _Table:
    name: str
    rows: int = 0
    refused: int = 0
    lost: list[Range] = field(default_factory=list)
    incomplete: bool = False

    def answer(self) -> dict[str, object]:
        return {**vars(self), "name": self.name[:200], "lost": self.lost[:_MOST_RANGES]}


def recover(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    new = open_new(str(request["target"]))
    descriptor = open_file(int(request["folder"]), str(request["name"]))
    source = open_copy(request, line, lenient=True)
    try:
        (page_size,) = source.execute("PRAGMA page_size").fetchone()
        source.execute("SELECT 1 FROM sqlite_master LIMIT 0")
        work = _Recovery(source, new, PageMap(descriptor, page_size), line)
        return work.run()
    except sqlite3.Error as error:
        if is_damage(error):
            raise _hopeless(str(request["name"]), str(error)) from error
        raise translated(error, str(request["name"])) from error


def _hopeless(name: str, reason: str) -> RecoveryFailedError:
    return RecoveryFailedError(
        f"Nothing of {name} can be recovered table by table, since the list of its tables can't be read "
        f"({reason[:200]}): its first pages are damaged. Restore the newest verified backup. Without one, a sqlite3 "
        "program with .recover can look through the pages for rows; it finds them without the names of their tables.",
    )


class _Recovery:
    def __init__(self, source: sqlite3.Connection, new: NewDatabase, pages: PageMap, line: Line) -> None:
        self._source, self._new, self._pages, self._line = source, new, pages, line
        self._notes: list[str] = []
        source.text_factory = as_text

    def run(self) -> Mapping[str, Any]:
        self._pages.claim_free()
        entries = self._schema()
        self._new.begin(self._source)
        tables = [self._create(each) for each in entries if each.kind == "table" and not each.virtual]
        kept = [each for each in tables if each is not None]
        answers = [self._table(each).answer() for each in kept]
        self._sequences(entries)
        self._rest(entries)
        self._new.finish()
        return {"tables": answers, "notes": self._notes}

    def _schema(self) -> list[_Entry]:
        """The readable part of the schema, with the pages of each table walked."""
        self._pages.walk(1)
        rows: list[Row] = []
        select = partial(self._select, ("sqlite_master", "rowid", _MASTER))
        lost = self._read(1, select, rows.append)
        if lost:
            self._note("A part of the schema can't be read: tables may be missing here that the damaged file had.")
        found = [_entry(row) for row in rows[:_MOST_TABLES]]
        entries = [each for each in found if each is not None]
        for each in entries:
            if each.kind == "table" and each.root > 1:
                self._pages.walk(each.root)
        if not entries and (lost or self._pages.leaves[1][0].trusted is False):
            raise _hopeless("it", "no entry of it is left")
        return entries

    def _select(self, source: tuple[str, str, str], low: int, high: int, down: bool) -> Iterator[Row]:  # noqa: FBT001
        table, rowid, columns = source
        order = "DESC" if down else "ASC"
        statement = (
            f"SELECT {rowid}, {columns} FROM {quoted(table)} NOT INDEXED "  # noqa: S608 - quoted names
            f"WHERE {rowid} BETWEEN ? AND ? ORDER BY {rowid} {order}"
        )
        return self._source.execute(statement, (low, high))

    def _read(self, root: int, select: Callable[..., Iterator[Row]], take: Callable[[Row], None]) -> list[Range]:
        good, lost = self._pages.trusted(root)
        for low, high in good:
            lost += read_around(self._lazily(select), take, low, high)
        return merged(lost)

    def _lazily(self, select: Callable[..., Iterator[Row]]) -> Callable[[int, int, bool], Iterator[Row]]:
        """Damage that shows when a statement starts is met where its rows are taken."""

        def rows(low: int, high: int, down: bool) -> Iterator[Row]:  # noqa: FBT001 - the direction
            self._line.beat()
            yield from select(low, high, down)

        return rows

    def _create(self, entry: _Entry) -> _Entry | None:
        if entry.name.lower().startswith("sqlite_"):
            return None
        problem = self._new.create(entry.sql)
        if problem:
            self._note(f"The table {entry.name[:100]} can't be made anew: {problem}")
            return None
        return entry

    def _table(self, entry: _Entry) -> _Table:
        table = _Table(entry.name)
        try:
            self._rows(entry, table)
        except sqlite3.OperationalError as error:
            self._line.beat()
            table.incomplete = True
            self._note(f"The table {entry.name[:100]} can't be read: {str(error)[:200]}")
        return table

    def _rows(self, entry: _Entry, table: _Table) -> None:
        info = self._source.execute(f"PRAGMA table_xinfo({quoted(entry.name)})").fetchall()
        columns = [str(row[1]) for row in info if row[6] == 0]  # not those that are computed
        rowid = self._rowid(entry.name, {each.lower() for each in columns})
        listed = ", ".join(map(quoted, columns))
        if rowid is None:
            keys = [quoted(str(row[1])) for row in sorted(info, key=lambda row: row[5]) if row[5]]
            self._whole(table, listed, keys, columns)
            return
        take = partial(self._take, table, [rowid, *columns])
        table.lost = self._read(entry.root, partial(self._select, (entry.name, rowid, listed)), take)

    def _rowid(self, name: str, columns: set[str]) -> str | None:
        """What this table calls its rowid; None for one without."""
        for each in _ROWIDS:
            if each not in columns:
                with contextlib.suppress(sqlite3.OperationalError):
                    self._source.execute(f"SELECT {each} FROM {quoted(name)} LIMIT 0")  # noqa: S608 - quoted names
                    return each
        return None

    def _take(self, table: _Table, columns: list[str], row: Row) -> None:
        self._line.beat()
        if self._new.insert(table.name, columns, row):
            table.rows += 1
        else:
            table.refused += 1

    def _whole(self, table: _Table, listed: str, keys: list[str], columns: list[str]) -> None:
        """A table without rowids: forwards, then backwards over what is damaged. Rows that come twice are ignored."""
        for order in ("", " DESC"):
            ordering = f" ORDER BY {', '.join(key + order for key in keys)}" if keys else ""
            statement = f"SELECT {listed} FROM {quoted(table.name)}{ordering}"  # noqa: S608 - quoted names
            try:
                for row in self._source.execute(statement):
                    self._take(table, columns, row)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                table.incomplete = True
                continue
            return

    def _sequences(self, entries: list[_Entry]) -> None:
        for entry in entries:
            if entry.name == "sqlite_sequence" and entry.root > 1:
                rows: list[Row] = []
                self._read(entry.root, partial(self._select, (entry.name, "rowid", "name, seq")), rows.append)
                for _, name, value in rows:
                    with contextlib.suppress(sqlite3.Error):  # no AUTOINCREMENT table could be made
                        self._new.sequence(name, int(value))

    def _rest(self, entries: list[_Entry]) -> None:
        for kind in ("index", "view", "trigger"):
            for entry in entries:
                if entry.kind == kind and entry.sql and (problem := self._new.create(entry.sql)):
                    self._note(f"The {kind} {entry.name[:100]} can't be made anew: {problem}")
        for entry in entries:
            if entry.virtual:
                self._new.add_virtual(entry.name, entry.sql)

    def _note(self, text: str) -> None:
        if len(self._notes) < _MOST_NOTES:
            self._notes.append(text)


def _entry(row: Row) -> _Entry | None:
    _, kind, name, _, root, sql = row
    if not isinstance(kind, str) or not isinstance(name, str) or not isinstance(root, int | None):
        return None
    return _Entry(kind=kind, name=name, root=root or 0, sql=sql if isinstance(sql, str) else "")
