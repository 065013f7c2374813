"""``manage.py backup recover``: for the night in which nothing but the damaged file is left."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.backups.sqlite.agent_life import make_accounts, rows_of, running, snapshot
from tests.console import Manage
from tests.processes import ROOT

WAITING_IN_WAL = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA journal_mode=WAL"); c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("UPDATE account SET amount = 1")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """A data folder with a database of two tables, one of which a page can be spoilt of."""
    folder = tmp_path / "agent"
    folder.mkdir()
    make_accounts(folder / "a.db")
    with closing(sqlite3.connect(folder / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE users(name TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO users VALUES(?)", [("ada",), ("bob",)])
    return folder


def spoil(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xff" * 4096)


def spoil_a_leaf(path: Path) -> None:
    """One page of rows of the table of accounts."""
    statement = (
        "SELECT pageno FROM dbstat WHERE name = 'account' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 5"
    )
    ((page,),) = rows_of(path, statement)
    spoil(path, int(str(page)) - 1)


def test_a_damaged_one_says_table_by_table_what_was_lost(agent: Path, tmp_path: Path, manage: Manage) -> None:
    spoil_a_leaf(agent / "a.db")
    before = snapshot(agent)
    target = tmp_path / "new.db"
    answer = manage("backup", "recover", "--file", str(agent / "a.db"), "--to", str(target))
    assert answer.code == 1
    lines = {line.split()[0]: line for line in answer.out.splitlines()}
    assert "what had the row ids" in lines["account"]
    assert lines["users"].split() == ["users", "2", "nothing"]
    assert f"into {target}" in answer.err
    assert "compare with the last good backup" in answer.err
    assert snapshot(agent) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["agent", "new.db"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (kept,) = rows_of(target, "SELECT COUNT(*) FROM account")
    assert 1900 < int(str(kept[0])) < 2000
    assert rows_of(target, "PRAGMA integrity_check") == [("ok",)]


def test_as_json(agent: Path, tmp_path: Path, manage: Manage) -> None:
    spoil_a_leaf(agent / "a.db")
    answer = manage("backup", "recover", "--file", str(agent / "a.db"), "--to", str(tmp_path / "new.db"), "--json")
    assert answer.code == 1
    told = answer.json
    assert (told["file"], told["to"], told["whole"]) == (str(agent / "a.db"), str(tmp_path / "new.db"), False)
    tables = {each["name"]: each for each in told["tables"]}
    assert tables["users"] == {
        "name": "users",
        "rows": 2,
        "whole": True,
        "refused": 0,
        "lost_row_ids": [],
        "incomplete": False,
    }
    ((low, high),) = tables["account"]["lost_row_ids"]
    assert tables["account"]["rows"] == 2000 - (high - low + 1)


def test_a_whole_one_answers_zero(agent: Path, tmp_path: Path, manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = manage("backup", "recover", "--file", "agent/a.db", "--to", "new.db")
    assert answer.code == 0
    assert "Every row that SQLite knows of" in answer.err
    assert rows_of(tmp_path / "new.db", "SELECT COUNT(*) FROM account") == [(2000,)]


def test_what_waits_in_the_wal_of_a_dead_agent_is_recovered_too(agent: Path, tmp_path: Path, manage: Manage) -> None:
    with running(WAITING_IN_WAL, agent / "a.db"):
        pass
    assert (agent / "a.db-wal").stat().st_size
    answer = manage("backup", "recover", "--file", str(agent / "a.db"), "--to", str(tmp_path / "new.db"))
    assert answer.code == 0
    assert rows_of(tmp_path / "new.db", "SELECT SUM(amount) FROM account") == [(2000,)]


def test_a_wal_that_can_not_be_worked_in_is_not_passed_over(agent: Path, tmp_path: Path, manage: Manage) -> None:
    """The header is gone, so that SQLite would not open it, and neither will what waits beside it be read."""
    with running(WAITING_IN_WAL, agent / "a.db"):
        pass
    spoil(agent / "a.db", 0)
    answer = manage("backup", "recover", "--file", str(agent / "a.db"), "--to", str(tmp_path / "new.db"))
    assert answer.code == 1
    if (tmp_path / "new.db").exists():
        assert "Note: What waits in a.db-wal is not in the new file" in answer.out
    else:
        assert "can be recovered" in answer.err


@pytest.mark.parametrize("taken", ["new.db", "new.db-wal", "new.db-journal"])
def test_nothing_is_overwritten(taken: str, agent: Path, tmp_path: Path, manage: Manage) -> None:
    """A journal that lies beside the new file would be worked into it when it is opened."""
    (tmp_path / taken).write_text("precious")
    answer = manage("backup", "recover", "--file", str(agent / "a.db"), "--to", str(tmp_path / "new.db"))
    assert answer.code == 1
    assert f"{tmp_path / taken} exists, and nothing is overwritten" in answer.err
    assert (tmp_path / taken).read_text() == "precious"
    same = manage("backup", "recover", "--file", str(agent / "a.db"), "--to", str(agent / "a.db"))
    assert same.code == 1
    assert rows_of(agent / "a.db", "SELECT COUNT(*) FROM account") == [(2000,)]


def test_failures_leave_no_file_and_say_what_to_do(agent: Path, tmp_path: Path, manage: Manage) -> None:
    hopeless = agent / "hopeless.db"
    hopeless.write_bytes(os.urandom(20_000))
    (agent / "empty.db").touch()
    target = tmp_path / "new.db"
    cases = (
        (agent / "empty.db", target, "has no bytes, so nothing is left of it"),
        (hopeless, target, "Restore the newest verified backup"),
        (agent / "nowhere.db", target, "is not there"),
        (agent, target, "is not a file"),
        (agent / "a.db", tmp_path / "no/new.db", f"There is no folder {tmp_path / 'no'}"),
    )
    for file, to, text in cases:
        answer = manage("backup", "recover", "--file", str(file), "--to", str(to))
        assert answer.code == 1
        assert text in answer.err
        assert "Traceback" not in answer.err
    told = manage("backup", "recover", "--file", str(hopeless), "--to", str(target), "--json")
    assert told.code == 1
    assert (told.json["whole"], told.json["to"], told.json["error"]) == (False, None, "recovery_failed")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["agent"]


def test_both_files_have_to_be_named(manage: Manage) -> None:
    assert manage("backup", "recover", "--file", "a.db").code == 2
    assert manage("backup", "recover", "--to", "a.db").code == 2


def test_it_needs_no_database_of_watchbills(agent: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "WATCHBILL_DATA": str(tmp_path / "nothing"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/no/where.db",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    command = ["backup", "recover", "--file", str(agent / "a.db"), "--to", str(tmp_path / "new.db")]
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "nothing").exists()
