"""Shrinking a database of an agent without surprising it, and counting what is in it."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from backups.archive.errors import DiskFullError, EndedEarlyError
from backups.sqlite import vacuumwork
from backups.sqlite.checking import check_copy
from backups.sqlite.copying import copy_database
from backups.sqlite.errors import DatabaseBusyError, MaintenanceRefusedError
from backups.sqlite.maintenance import maintain_database, vacuum_database
from backups.sqlite.statistics import KeyStatistics, read_statistics
from tests.backups.sqlite.agent_life import killed, make_accounts, rows_of, running, snapshot, writing

PORTAGENT = Path(__file__).parents[2] / "cases" / "portagent-1.9.0"
AGENT_USER = 12345
READING = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN"); c.execute("SELECT * FROM account").fetchone()
print("ready", flush=True)
time.sleep(60)
"""
DYING_IN_A_TRANSACTION = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA cache_size=5"); c.execute("PRAGMA cache_spill=5")
c.execute("BEGIN"); c.execute("UPDATE account SET amount = 1")
print("ready", flush=True)
time.sleep(60)
"""


def half_empty(path: Path, mode: str) -> None:
    make_accounts(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("DELETE FROM account WHERE id > 100")


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_it_shrinks_and_leaves_nothing_but_the_database(mode: str, agent: Path, ours: Path) -> None:
    half_empty(agent / "a.db", mode)
    size = (agent / "a.db").stat().st_size
    done = maintain_database(agent, "a.db", ours)
    assert done.checked.ok
    assert done.vacuumed is not None
    assert (done.vacuumed.before, done.vacuumed.checkpointed) == (size, True)
    assert done.vacuumed.after == (agent / "a.db").stat().st_size < size / 5
    assert [each.name for each in agent.iterdir()] == ["a.db"]
    assert list(ours.iterdir()) == []
    assert rows_of(agent / "a.db", "SELECT COUNT(*) FROM account") == [(100,)]
    with closing(sqlite3.connect(agent / "a.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)


def test_nothing_to_gain_is_left_alone(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    before = snapshot(agent)
    assert maintain_database(agent, "a.db", ours, least_gain=0.1).vacuumed is None
    assert snapshot(agent) == before


def test_a_damaged_one_is_not_vacuumed(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    with (agent / "a.db").open("r+b") as file:
        file.seek(4096 * 9)
        file.write(b"\xff" * 4096)
    before = snapshot(agent)
    done = maintain_database(agent, "a.db", ours)
    assert (done.checked.ok, done.vacuumed) == (False, None)
    assert snapshot(agent) == before


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_with_a_live_writer_it_works_or_tells_that_it_was_busy(mode: str, agent: Path) -> None:
    make_accounts(agent / "a.db")
    with writing(agent / "a.db", mode) as process:
        try:
            vacuum_database(agent, "a.db", patience=5)
        except DatabaseBusyError as error:
            assert error.retryable  # noqa: PT017
        assert process.poll() is None
    with closing(sqlite3.connect(agent / "a.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT SUM(amount), COUNT(*) FROM account").fetchone() == (0, 2000)


def test_a_lock_is_waited_for_in_bounds(agent: Path) -> None:
    half_empty(agent / "a.db", "delete")
    before = snapshot(agent)
    with running(READING, agent / "a.db"):
        begun = time.monotonic()
        with pytest.raises(DatabaseBusyError, match="stayed locked"):
            vacuum_database(agent, "a.db", patience=0.5)
        assert time.monotonic() - begun < 5
    assert snapshot(agent) == before


def test_a_reader_of_the_wal_keeps_it_from_being_emptied_and_that_is_told(agent: Path) -> None:
    half_empty(agent / "a.db", "wal")
    with running(READING, agent / "a.db"):
        assert not vacuum_database(agent, "a.db").checkpointed


@pytest.mark.parametrize("how", ["too long", "asked to end"])
def test_what_is_ended_is_rolled_back(how: str, agent: Path) -> None:
    make_accounts(agent / "a.db", 120_000)

    def check() -> None:
        if how == "asked to end" and time.monotonic() - begun > 0.12:
            raise EndedEarlyError("enough")

    begun = time.monotonic()
    expected = DatabaseBusyError if how == "too long" else EndedEarlyError
    with pytest.raises(expected):
        vacuum_database(agent, "a.db", most_seconds=0.02 if how == "too long" else 60, check=check)
    assert [each.name for each in agent.iterdir()] == ["a.db"]
    assert rows_of(agent / "a.db", "SELECT COUNT(*), SUM(amount) FROM account") == [(120_000, 0)]
    assert check_copy(agent / "a.db", level="integrity").ok


def test_without_room_nothing_is_begun(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_accounts(agent / "a.db", 10)
    monkeypatch.setattr(vacuumwork, "_SPARE", 2**62)
    folder = os.open(agent, os.O_RDONLY)
    with pytest.raises(DiskFullError, match=r"a\.db was not vacuumed.*free some space"):
        vacuumwork._room(folder, "a.db", 1)
    os.close(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_as_root_it_acts_as_the_owner_and_a_hostile_journal_deletes_nothing(agent: Path, tmp_path: Path) -> None:
    make_accounts(agent / "a.db")
    killed(DYING_IN_A_TRANSACTION, agent / "a.db")
    victim = tmp_path / "victim"
    victim.write_bytes(b"what another tenant needs\0")
    name = os.fsencode(victim)
    checksum = sum(name)
    with (agent / "a.db-journal").open("ab") as journal:
        journal.write(b"\0" * (-journal.tell() % 512))
        journal.write((0x40000000 // 4096 + 1).to_bytes(4, "big") + name + len(name).to_bytes(4, "big"))
        journal.write(checksum.to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7"))
    for path in (agent, *agent.iterdir()):
        os.chown(path, AGENT_USER, AGENT_USER)
    vacuum_database(agent, "a.db")
    assert victim.exists()
    owners = {(each.stat().st_uid, each.stat().st_gid) for each in agent.iterdir()}
    assert owners == {(AGENT_USER, AGENT_USER)}


def test_as_neither_root_nor_owner_it_is_refused(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_accounts(agent / "a.db")
    folder = os.open(agent, os.O_RDONLY)
    monkeypatch.setattr(vacuumwork, "confine", lambda folder, _owner: f"/proc/self/fd/{folder}")
    monkeypatch.setattr(vacuumwork.os, "geteuid", lambda: 4321)
    pinned = os.open(agent / "a.db", os.O_RDONLY)
    with pytest.raises(MaintenanceRefusedError, match="only its owner"):
        vacuumwork._confined(folder, "a.db", pinned)
    os.close(pinned)
    os.close(folder)


def test_tables_and_keys_of_portagent(ours: Path) -> None:
    copy_database(PORTAGENT, "data/agentx.db", ours / "agentx.db")
    found = read_statistics(ours / "agentx.db")
    (table,) = found.tables
    assert (table.name, table.rows, table.size) == ("kv_storage", 9, 12288)
    assert [(each.kind, each.rows) for each in found.keys] == [
        ("idx", 4),
        ("containers", 3),
        ("images", 1),
        ("sessions", 1),
    ]
    assert found.keys[0].size > 0
    assert (found.more, found.timed_out, found.pages) == (False, False, 4)


def test_keys_without_a_colon_and_names_that_need_quotes(ours: Path) -> None:
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.execute('CREATE TABLE "o""dd; DROP"(key, value)')
        connection.execute("""INSERT INTO "o""dd; DROP" VALUES('plain', 'ä'), (NULL, 1), ('a:b:c', x'00')""")
    assert read_statistics(ours / "a.db").keys == (
        KeyStatistics(table='o"dd; DROP', kind="", rows=2, size=8),
        KeyStatistics(table='o"dd; DROP', kind="a", rows=1, size=6),
    )


def test_a_hundred_thousand_tables_are_bounded(ours: Path) -> None:
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t(a)")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO "
            "sqlite_master SELECT 'table', 't' || i, 't' || i, 2, 'CREATE TABLE t' || i || '(a)' FROM n",
        )
    begun = time.monotonic()
    found = read_statistics(ours / "a.db", most_tables=50, most_seconds=2)
    assert found.more or found.timed_out
    assert len(found.tables) <= 50
    assert time.monotonic() - begun < 15
