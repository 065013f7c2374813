"""A copy is consistent, stands alone, and leaves no trace beside its source."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
import traceback
from contextlib import closing
from pathlib import Path

import pytest

from backups.archive.errors import EndedEarlyError, StoreFailedError
from backups.sqlite import header, isolated, livecopy
from backups.sqlite.checking import check_copy
from backups.sqlite.copying import Copied, copy_database
from backups.sqlite.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseMissingError,
    DatabaseSwappedError,
    DatabaseUnreadableError,
    NotADatabaseError,
)
from tests.backups.sqlite.agent_life import killed, make_accounts, rows_of, running, snapshot, writing

PORTAGENT = Path(__file__).parents[2] / "cases" / "portagent-1.9.0"
AGENT_USER = 12345
SUM = "SELECT SUM(amount), COUNT(*) FROM account"
DYING_IN_WAL = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA journal_mode=WAL"); c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("UPDATE account SET amount = 1")
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

LOCKING = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN EXCLUSIVE")
print("ready", flush=True)
time.sleep(60)
"""
EXCLUSIVE_WAL = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA locking_mode=EXCLUSIVE"); c.execute("PRAGMA journal_mode=WAL")
c.execute("UPDATE account SET amount = 1")
print("ready", flush=True)
time.sleep(60)
"""


def assert_whole(path: Path, copied: Copied) -> None:
    assert check_copy(path, level="integrity").problems == ()
    assert (copied.size, copied.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("name", "mode"), [("agentx", "delete"), ("portagent", "delete"), ("queue", "wal")])
def test_the_databases_of_portagent(name: str, mode: str, ours: Path) -> None:
    copied = copy_database(PORTAGENT, f"data/{name}.db", ours / "copy.db")
    assert_whole(ours / "copy.db", copied)
    assert copied.journal_mode == mode
    schema = "SELECT type, name, sql FROM sqlite_master"
    assert rows_of(ours / "copy.db", schema) == rows_of(PORTAGENT / "data" / f"{name}.db", schema)


@pytest.mark.parametrize(("mode", "way"), [("wal", "online"), ("delete", "locked"), ("persist", "locked")])
def test_under_a_live_writer_each_copy_is_consistent(mode: str, way: str, agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    seen = set()
    with writing(agent / "a.db", mode) as process:
        for number in range(6):
            copy = ours / f"{number}.db"
            copied = copy_database(agent, "a.db", copy)
            assert copied.way == way
            assert rows_of(copy, SUM) == [(0, 2000)]
            assert_whole(copy, copied)
            seen.add(copied.sha256)
            copy.unlink()
        assert process.poll() is None
    assert len(seen) > 1


def test_the_copy_is_one_file_outside_of_wal_mode_and_tells_the_sources_mode(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    with closing(sqlite3.connect(agent / "a.db")) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("PRAGMA user_version=-3")
        live.execute("PRAGMA application_id=77")
        live.execute("UPDATE account SET amount = 5")
        live.commit()
        pages: list[tuple[int, int]] = []
        copied = copy_database(agent, "a.db", ours / "c.db", on_progress=lambda *each: pages.append(each))
    assert (copied.journal_mode, copied.user_version, copied.application_id) == ("wal", -3, 77)
    assert pages[-1] == (copied.pages, copied.pages)
    assert rows_of(ours / "c.db", "PRAGMA journal_mode") == [("delete",)]
    assert rows_of(ours / "c.db", SUM) == [(10_000, 2000)]
    with closing(sqlite3.connect(ours / "c.db")) as restored:
        assert restored.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)


@pytest.mark.parametrize("left", [("-wal",), ("-wal", "-shm")])
def test_what_a_dead_agent_left_in_its_wal_is_in_the_copy_and_nothing_is_touched(
    left: tuple[str, ...],
    agent: Path,
    ours: Path,
) -> None:
    make_accounts(agent / "a.db")
    killed(DYING_IN_WAL, agent / "a.db")
    for suffix in {"-wal", "-shm"} - set(left):
        (agent / f"a.db{suffix}").unlink()
    before = snapshot(agent)
    copied = copy_database(agent, "a.db", ours / "c.db")
    assert_whole(ours / "c.db", copied)
    assert rows_of(ours / "c.db", SUM) == [(2000, 2000)]
    after = snapshot(agent)
    if "-shm" in left:  # SQLite's index of the WAL is made anew, in place
        assert before.pop("a.db-shm")[:3] == after.pop("a.db-shm")[:3]
    assert after == before


def test_a_journal_that_a_dead_agent_left_is_rolled_back_in_the_copy_only(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    killed(DYING_IN_A_TRANSACTION, agent / "a.db")
    assert (agent / "a.db-journal").stat().st_size > 4096
    before = snapshot(agent)
    copied = copy_database(agent, "a.db", ours / "c.db")
    assert_whole(ours / "c.db", copied)
    assert copied.way == "at_rest"
    assert rows_of(ours / "c.db", SUM) == [(0, 2000)]
    assert snapshot(agent) == before


def test_a_journal_that_names_another_file_as_its_super_journal_does_not_delete_it(
    agent: Path,
    ours: Path,
    tmp_path: Path,
) -> None:
    make_accounts(agent / "a.db")
    killed(DYING_IN_A_TRANSACTION, agent / "a.db")
    victim = tmp_path / "victim"
    victim.write_bytes(b"what another tenant needs\0")
    name = os.fsencode(victim)
    checksum = sum(byte - 256 if byte > 127 else byte for byte in name)
    with (agent / "a.db-journal").open("ab") as journal:
        page = (0x40000000 // 4096) + 1
        journal.write(b"\0" * (-journal.tell() % 512))
        journal.write(page.to_bytes(4, "big") + name + len(name).to_bytes(4, "big") + checksum.to_bytes(4, "big"))
        journal.write(bytes.fromhex("d9d505f920a163d7"))
    with pytest.raises(DatabaseBusyError, match=r"over several databases.*Start it once"):
        copy_database(agent, "a.db", ours / "c.db")
    assert victim.exists()
    with closing(sqlite3.connect(agent / "a.db")) as naive:  # the attack works on who rolls back
        naive.execute("SELECT 1 FROM account").fetchone()
    assert not victim.exists()


def test_a_database_at_rest_in_wal_mode_gets_no_files_beside_it(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    with closing(sqlite3.connect(agent / "a.db")) as live:
        live.execute("PRAGMA journal_mode=WAL")
    before = snapshot(agent)
    times = agent.stat().st_mtime_ns
    copied = copy_database(agent, "a.db", ours / "c.db")
    assert_whole(ours / "c.db", copied)
    assert (copied.way, copied.journal_mode) == ("at_rest", "wal")
    assert (snapshot(agent), agent.stat().st_mtime_ns) == (before, times)


def test_an_empty_file_is_an_empty_database(agent: Path, ours: Path) -> None:
    (agent / "a.db").touch()
    copied = copy_database(agent, "a.db", ours / "c.db")
    assert (copied.pages, copied.size, (ours / "c.db").read_bytes()) == (0, 0, b"")
    assert check_copy(ours / "c.db").ok


def test_a_long_lock_is_waited_for_in_bounds_and_then_told(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    with running(LOCKING, agent / "a.db") as process:
        with pytest.raises(DatabaseBusyError, match=r"a\.db stayed locked") as raised:
            copy_database(agent, "a.db", ours / "c.db", patience=0.3)
        assert raised.value.retryable
        threading.Timer(0.3, process.kill).start()
        assert copy_database(agent, "a.db", ours / "c.db", patience=10).way == "locked"


def test_a_wal_database_in_exclusive_mode_is_told_as_busy(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    with running(EXCLUSIVE_WAL, agent / "a.db"), pytest.raises(DatabaseBusyError):
        copy_database(agent, "a.db", ours / "c.db", patience=2.5)
    assert list(ours.iterdir()) == []


def test_what_is_no_database_is_told_with_the_way_out(agent: Path, ours: Path) -> None:
    (agent / "secret.db").write_bytes(os.urandom(8192))
    with pytest.raises(NotADatabaseError, match=r"secret\.db.*encrypted.*workspace\.backup"):
        copy_database(agent, "secret.db", ours / "c.db")
    with pytest.raises(DatabaseMissingError):
        copy_database(agent, "gone.db", ours / "c.db")
    assert list(ours.iterdir()) == []


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_truncated_database_is_told_or_found_by_the_check(mode: str, agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    with closing(sqlite3.connect(agent / "a.db")) as live:
        live.execute(f"PRAGMA journal_mode={mode}")
    os.truncate(agent / "a.db", 4096 * 20)
    try:
        copy_database(agent, "a.db", ours / "c.db")
    except DatabaseDamagedError as error:
        assert "a.db is damaged" in str(error)  # noqa: PT017
        assert list(ours.iterdir()) == []
    else:
        assert not check_copy(ours / "c.db").ok


def test_a_database_with_a_damaged_page_is_copied_and_the_check_finds_it(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    with (agent / "a.db").open("r+b") as file:
        file.seek(4096 * 9)
        file.write(b"\xff" * 4096)
    copy_database(agent, "a.db", ours / "c.db")
    assert (ours / "c.db").read_bytes() == (agent / "a.db").read_bytes()
    assert not check_copy(ours / "c.db").ok


def test_a_link_in_place_of_the_database_or_beside_it_is_refused(agent: Path, ours: Path, tmp_path: Path) -> None:
    make_accounts(tmp_path / "other.db")
    (agent / "a.db").symlink_to(tmp_path / "other.db")
    with pytest.raises(DatabaseMissingError, match="link"):
        copy_database(agent, "a.db", ours / "c.db")
    (agent / "a.db").unlink()
    make_accounts(agent / "a.db")
    with closing(sqlite3.connect(agent / "a.db")) as live:
        live.execute("PRAGMA journal_mode=WAL")
    (tmp_path / "other.db-wal").touch()
    (agent / "a.db-wal").symlink_to(tmp_path / "other.db-wal")
    with pytest.raises((DatabaseUnreadableError, DatabaseSwappedError, DatabaseMissingError)):
        copy_database(agent, "a.db", ours / "c.db")
    assert list(ours.iterdir()) == []


class _Silent:
    def progress(self, _done: int, _total: int) -> None: ...

    def beat(self) -> None: ...


@pytest.mark.parametrize("swap", ["link", "file", "folder"])
def test_what_is_swapped_between_looking_and_opening_is_refused(
    swap: str,
    agent: Path,
    ours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a root folder of its own, as for a user who may not change that: by the comparison alone."""
    other = tmp_path / "other"
    other.mkdir()
    for path in (agent / "a.db", agent / "b.db", other / "a.db"):
        make_accounts(path, 20)

    def swapping(folder: int, _owner: os.stat_result) -> str:
        if swap == "folder":
            agent.rename(tmp_path / "away")
            agent.symlink_to(other)
            return str(agent)  # what SQLite makes of /proc/self/fd/N, had it been a moment earlier
        (agent / "a.db").unlink()
        if swap == "link":
            (agent / "a.db").symlink_to(other / "a.db")
        else:
            (agent / "b.db").rename(agent / "a.db")
        return f"/proc/self/fd/{folder}"

    monkeypatch.setattr(livecopy, "confine", swapping)
    (ours / "c.db").touch()
    folder = os.open(agent, os.O_RDONLY)
    request = {"folder": folder, "name": "a.db", "target": str(ours / "c.db"), "patience": 1}
    with pytest.raises(DatabaseSwappedError, match="replaced while it was being opened"):
        livecopy.copy_live(request, _Silent())  # type: ignore[arg-type]
    os.close(folder)
    assert (ours / "c.db").read_bytes() == b""


def test_an_agent_that_swaps_its_database_all_the_time_never_gets_anothers(
    agent: Path,
    ours: Path,
    tmp_path: Path,
) -> None:
    make_accounts(agent / "a.db", 20)
    other = tmp_path / "other.db"
    make_accounts(other, 21)
    (agent / "link").symlink_to(other)
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            (agent / "a.db").rename(agent / "real")
            (agent / "link").rename(agent / "a.db")
            (agent / "a.db").rename(agent / "link")
            (agent / "real").rename(agent / "a.db")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(15):
            copy = ours / f"{number}.db"
            try:
                copy_database(agent, "a.db", copy, patience=0.5)
            except (DatabaseMissingError, DatabaseSwappedError, DatabaseUnreadableError, DatabaseBusyError):
                assert not copy.exists()
            else:
                assert rows_of(copy, "SELECT COUNT(*) FROM account") == [(20,)]
    finally:
        ended.set()
        thread.join()


def test_it_ends_within_a_second_when_asked_and_leaves_nothing(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    asked: list[float] = []

    def check() -> None:
        if time.monotonic() - begun > 0.3:
            asked.append(time.monotonic())
            raise EndedEarlyError("enough")

    with running(LOCKING, agent / "a.db"):
        begun = time.monotonic()
        with pytest.raises(EndedEarlyError, match="enough"):
            copy_database(agent, "a.db", ours / "c.db", check=check)
    assert time.monotonic() - asked[0] < 1
    assert list(ours.iterdir()) == []


def test_an_error_of_the_progress_callback_leaves_nothing(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")

    def fail(_done: int, _total: int) -> None:
        raise RuntimeError("told")

    with pytest.raises(RuntimeError, match="told"):
        copy_database(agent, "a.db", ours / "c.db", on_progress=fail)
    assert list(ours.iterdir()) == []


def test_a_target_that_exists_is_neither_overwritten_nor_removed(agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    (ours / "c.db").write_text("mine")
    with pytest.raises(StoreFailedError):
        copy_database(agent, "a.db", ours / "c.db")
    assert (ours / "c.db").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
@pytest.mark.parametrize("state", ["open", "closed"])
def test_as_root_what_sqlite_must_create_belongs_to_the_agent(state: str, agent: Path, ours: Path) -> None:
    make_accounts(agent / "a.db")
    live = sqlite3.connect(agent / "a.db")
    live.execute("PRAGMA journal_mode=WAL")
    live.execute("SELECT 1 FROM account").fetchone()
    if state == "closed":
        live.close()
    for path in (agent, *agent.iterdir()):
        os.chown(path, AGENT_USER, AGENT_USER)
    before = snapshot(agent)
    copy_database(agent, "a.db", ours / "c.db")
    after = snapshot(agent)
    live.close()
    assert {name: each[:3] for name, each in after.items()} == {name: each[:3] for name, each in before.items()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
@pytest.mark.parametrize("state", ["open", "closed", "read-only folder"])
def test_as_another_user_nothing_is_created_that_the_agent_could_not_write_to(
    state: str,
    agent: Path,
    ours: Path,
) -> None:
    """The child's work in a process that has become someone who may write to the folder, but isn't its owner."""
    from backups.sqlite.restcopy import copy_at_rest

    make_accounts(agent / "a.db")
    live = sqlite3.connect(agent / "a.db")
    live.execute("PRAGMA journal_mode=WAL")
    live.execute("UPDATE account SET amount = 1")
    live.commit()
    if state != "open":
        live.close()
    agent.chmod(0o555 if state == "read-only folder" else 0o777)
    (ours / "c.db").touch()
    (ours / "c.db").chmod(0o666)
    ours.chmod(0o777)
    before = {name: each[:3] for name, each in snapshot(agent).items()}
    folder = os.open(agent, os.O_RDONLY)
    parents = [each for each in agent.parents if each.stat().st_mode & 0o001 == 0]
    modes = [(each, each.stat().st_mode) for each in parents]
    for each, mode in modes:
        each.chmod(mode | 0o001)
    request = {"folder": folder, "name": "a.db", "target": str(ours / "c.db"), "patience": 5}
    try:
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setresgid(AGENT_USER, AGENT_USER, AGENT_USER)
            os.setresuid(AGENT_USER, AGENT_USER, AGENT_USER)
            try:
                (livecopy.copy_live if state == "open" else copy_at_rest)(request, _Silent())  # type: ignore[arg-type]
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the fork must not go on as a second pytest
                traceback.print_exc()
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        for each, mode in modes:
            each.chmod(mode)
        os.close(folder)
    assert {name: each[:3] for name, each in snapshot(agent).items()} == before
    live.close()
    with (ours / "c.db").open("r+b") as copy:
        header.leave_wal(copy.fileno())
    assert rows_of(ours / "c.db", SUM) == [(2000, 2000)]


def test_a_child_without_the_callers_environment(monkeypatch: pytest.MonkeyPatch, agent: Path, ours: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    seen: list[dict[str, str]] = []
    real = isolated.subprocess.Popen

    def spying(*arguments: object, **options: object) -> object:
        seen.append(options["env"])  # type: ignore[arg-type]
        return real(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(isolated.subprocess, "Popen", spying)
    make_accounts(agent / "a.db", 2)
    copy_database(agent, "a.db", ours / "c.db")
    assert seen
    assert "AWS_SECRET_ACCESS_KEY" not in seen[0]
