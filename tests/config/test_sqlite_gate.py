"""The gate before SQLite's write lock: one at a time, gone with its process, and never a wall."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from config.sqlite3 import base
from config.sqlite3.base import DatabaseWrapper, Gate

HOLD = """
import sys
from config.sqlite3.base import Gate
Gate(sys.argv[1]).enter()
print("in", flush=True)
input()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "w.sqlite3-gate")


def wrapper(folder: Path) -> DatabaseWrapper:
    settings = {
        "ENGINE": "config.sqlite3", "NAME": folder / "w.sqlite3", "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        "ATOMIC_REQUESTS": False, "AUTOCOMMIT": True, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "TIME_ZONE": None,
    }  # fmt: skip
    return DatabaseWrapper(settings, alias="gated")


def is_free(path: str) -> bool:
    gate = Gate(path)
    try:
        return gate._try()
    finally:
        gate.close()


def test_one_waits_until_the_other_leaves(path: str) -> None:
    first, second = Gate(path), Gate(path)
    first.enter()
    threading.Timer(0.1, first.leave).start()
    begun = time.monotonic()
    second.enter()
    assert 0.09 < time.monotonic() - begun < 1


def test_it_dies_with_its_process(path: str) -> None:
    argv = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=Path.cwd()) as holder:
        assert holder.stdout
        assert holder.stdout.readline()
        assert not is_free(path)
        os.kill(holder.pid, signal.SIGKILL)
    assert is_free(path)


def test_it_keeps_nobody_out_for_long(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LONGEST_WAIT", 0.05)
    stuck = Gate(path)
    stuck.enter()
    begun = time.monotonic()
    Gate(path).enter()
    assert 0.04 < time.monotonic() - begun < 2


@pytest.mark.django_db
@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_a_transaction_holds_it_from_begin_to_end(tmp_path: Path, path: str, end: str) -> None:
    connection = wrapper(tmp_path)
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert not is_free(path)
    getattr(connection, end)()
    assert is_free(path)
    connection.close()


@pytest.mark.django_db
def test_a_begin_that_fails_leaves(tmp_path: Path, path: str) -> None:
    connection = wrapper(tmp_path)
    connection.ensure_connection()
    other = sqlite3.connect(tmp_path / "w.sqlite3", timeout=0, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection.connection.execute("PRAGMA busy_timeout=0")
    with pytest.raises(Exception, match="locked"):
        connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert is_free(path)
    other.close()
    connection.close()
