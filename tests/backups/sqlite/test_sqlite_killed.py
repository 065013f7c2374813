"""``kill -9`` at any moment leaves the source as it was, and its agent working."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from backups.sqlite.checking import check_copy
from backups.sqlite.copying import copy_database
from backups.sqlite.errors import WorkCrashedError
from tests.backups.sqlite.agent_life import make_accounts, rows_of, snapshot, writing

ROOT = Path(__file__).parents[3]
COPYING = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from backups.sqlite.copying import copy_database
from backups.sqlite.maintenance import vacuum_database
from backups.sqlite.recovery import recover_database
agent, target, work = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
def told(done, total): print(done, flush=True)
print("ready", flush=True)
if work == "copy": copy_database(agent, "a.db", target, on_progress=told)
if work == "recover": recover_database(agent / "a.db", target)
if work == "vacuum": vacuum_database(agent, "a.db")
"""


def begin(agent: Path, target: Path, work: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", COPYING, str(ROOT), str(agent), str(target), work]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    try:
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(each) for each in listed.split()]


def kill_after(process: subprocess.Popen[bytes], seconds: float, *, child_too: bool) -> None:
    time.sleep(seconds)
    children = children_of(process) if child_too else []
    process.kill()
    for each in children:
        os.kill(each, signal.SIGKILL)
    process.communicate()


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{each}").exists() and "Z" not in state(each) for each in pids)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize("work", ["copy", "recover"])
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_source_is_the_same_byte_for_byte(work: str, mode: str, agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db", 60_000)
    with closing(sqlite3.connect(agent / "a.db")) as live:
        live.execute(f"PRAGMA journal_mode={mode}")
    before = snapshot(agent)
    dice = random.Random(3)
    for number in range(8):
        process = begin(agent, ours / f"{number}.db", work)
        kill_after(process, dice.uniform(0, 0.25), child_too=number % 2 == 0)
        assert snapshot(agent) == before


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_live_agent_writes_on_and_its_database_is_sound(mode: str, agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db", 30_000)
    dice = random.Random(5)
    with writing(agent / "a.db", mode) as writer:
        for number in range(8):
            kill_after(begin(agent, ours / f"{number}.db", "copy"), dice.uniform(0, 0.2), child_too=True)
        assert writer.poll() is None
        done = copy_database(agent, "a.db", ours / "last.db")
        assert done.way in {"online", "locked"}
    assert rows_of(ours / "last.db", "SELECT SUM(amount), COUNT(*) FROM account") == [(0, 30_000)]
    with closing(sqlite3.connect(agent / "a.db")) as after:
        assert after.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert after.execute("SELECT SUM(amount) FROM account").fetchone() == (0,)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_killed_vacuum_is_put_back_by_whoever_opens_the_database_next(mode: str, agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db", 60_000)
    with closing(sqlite3.connect(agent / "a.db")) as live:
        live.execute(f"PRAGMA journal_mode={mode}")
        live.execute("DELETE FROM account WHERE id % 3 = 0")
        live.commit()
    dice = random.Random(6)
    for number in range(6):
        kill_after(begin(agent, ours / "unused", "vacuum"), dice.uniform(0, 0.4), child_too=True)
        copy_database(agent, "a.db", ours / f"{number}.db")
        assert check_copy(ours / f"{number}.db", level="integrity").ok
        assert rows_of(ours / f"{number}.db", "SELECT COUNT(*) FROM account") == [(40_000,)]
    with closing(sqlite3.connect(agent / "a.db")) as after:
        assert after.execute("SELECT COUNT(*) FROM account").fetchone() == (40_000,)
        assert after.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_child_without_its_parent_ends_by_itself(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db", 20)
    with closing(sqlite3.connect(agent / "a.db", isolation_level=None)) as live:
        live.execute("BEGIN EXCLUSIVE")
        process = begin(agent, ours / "c.db", "copy")
        until = time.monotonic() + 5
        while not (children := children_of(process)) and time.monotonic() < until:
            time.sleep(0.01)
        kill_after(process, 0.2, child_too=False)
        assert children
        while not gone(children) and time.monotonic() < until:
            time.sleep(0.05)
        assert gone(children)


def test_a_killed_child_is_told_as_retryable_and_leaves_no_target(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db", 20_000)
    killed: list[int] = []

    def kill(_done: int, _total: int) -> None:
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        for each in children:
            if b"backups.sqlite.child" in Path(f"/proc/{each}/cmdline").read_bytes() and not killed:
                os.kill(int(each), signal.SIGSTOP)
                os.kill(int(each), signal.SIGKILL)
                killed.append(int(each))

    with closing(sqlite3.connect(agent / "a.db")) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("SELECT 1 FROM account").fetchone()
        try:
            copy_database(agent, "a.db", ours / "c.db", on_progress=kill)
        except WorkCrashedError as error:
            assert error.retryable  # noqa: PT017
            assert "signal 9" in str(error)  # noqa: PT017
            assert list(ours.iterdir()) == []
        else:
            assert check_copy(ours / "c.db").ok  # it had answered before it was killed
    assert killed
