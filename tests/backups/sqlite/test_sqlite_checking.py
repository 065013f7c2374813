"""What the checks of a copy find, and that a hostile copy can't hold them up."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from backups.archive.errors import EndedEarlyError
from backups.sqlite.checking import check_copy
from backups.sqlite.errors import DatabaseMissingError, WorkCrashedError
from tests.backups.sqlite.agent_life import make_accounts


def test_a_sound_copy(ours: Path) -> None:
    make_accounts(ours / "a.db")
    for level in ("quick", "integrity"):
        checked = check_copy(ours / "a.db", level=level)  # type: ignore[arg-type]
        assert checked.ok
        assert (checked.problems, checked.more, checked.foreign_key_violations) == ((), False, 0)
    assert [each.name for each in ours.iterdir()] == ["a.db"]


def test_rows_without_their_parent_are_counted_and_no_damage(ours: Path) -> None:
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.executescript(
            "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id));"
            "INSERT INTO c VALUES(1),(2),(NULL);",
        )
    checked = check_copy(ours / "a.db")
    assert (checked.ok, checked.foreign_key_violations) == (True, 2)
    assert check_copy(ours / "a.db", most_violations=1).foreign_key_violations == 1


def test_keys_that_can_not_be_checked_are_told(ours: Path) -> None:
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.executescript("CREATE TABLE p(id); CREATE TABLE c(p REFERENCES p(id)); INSERT INTO c VALUES(1);")
    checked = check_copy(ours / "a.db")
    assert checked.ok
    assert "foreign key mismatch" in checked.note


def test_an_index_that_disagrees_is_seen_by_the_integrity_check_and_problems_are_capped(ours: Path) -> None:
    make_accounts(ours / "a.db", 200)
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE INDEX by_amount ON account(id)' WHERE name = 'by_amount'"
        )
    assert check_copy(ours / "a.db", level="quick").ok
    checked = check_copy(ours / "a.db", level="integrity", most_problems=5)
    assert not checked.ok
    assert (len(checked.problems), checked.more) == (5, True)
    assert "by_amount" in checked.problems[0]


def test_what_is_no_database_is_an_answer_and_a_missing_file_an_error(ours: Path) -> None:
    (ours / "a.db").write_bytes(b"no" * 3000)
    assert check_copy(ours / "a.db").problems == ("file is not a database",)
    with pytest.raises(DatabaseMissingError):
        check_copy(ours / "gone.db")


def computing(path: Path, expression: str) -> None:
    """A database whose integrity check must evaluate ``expression`` for each row, as an index of it stands there."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t(a)")
        connection.execute("CREATE INDEX i ON t(a + 1)")
        connection.executemany("INSERT INTO t VALUES(?)", [(number,) for number in range(1000)])
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'i'", (f"CREATE INDEX i ON t({expression})",))


def test_a_schema_that_computes_for_ever_is_ended_within_a_second(ours: Path) -> None:
    computing(ours / "a.db", "length(hex(zeroblob(100000000 + a)))")
    begun = time.monotonic()

    def check() -> None:
        if time.monotonic() - begun > 1:
            raise EndedEarlyError("enough")

    with pytest.raises(EndedEarlyError, match="enough"):
        check_copy(ours / "a.db", level="integrity", check=check)
    assert time.monotonic() - begun < 2


def test_a_schema_that_computes_gigabytes_costs_the_child_only(ours: Path) -> None:
    blob = "hex(zeroblob(490000000 + a))"
    computing(ours / "a.db", f"max({', '.join([blob] * 9)})")
    with pytest.raises(WorkCrashedError, match=r"a\.db needs more than 2 GiB of memory"):
        check_copy(ours / "a.db", level="integrity")
