"""``database.backup`` on the databases of Portagent, as seed 002 has it."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backups.archive.errors import ArchiveError
from backups.archive.settings import S3Settings
from backups.executors import database_backup
from backups.executors.database_backup import DatabaseBackup, DatabaseBackupPayload, archived_name
from backups.models import Backup
from backups.retention.rules import Rules
from backups.services.verification import backup_verify
from fleet.models import Agent, Organisation
from schedules.executors.base import ExecutorError, Result, Stopped
from tests.backups.sqlite.agent_life import make_accounts, rows_of, running, snapshot, writing
from tests.run_context import FakeContext, agent_view

PORTAGENT = Path(__file__).parents[1] / "cases" / "portagent-1.9.0" / "data"
AGENT_USER = 1000
NAME = re.compile(r"backup-(\d{8}_\d{6})\.tar\.gz")
DYING_IN_WAL = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA journal_mode=WAL"); c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("UPDATE account SET amount = 1")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def watch(tmp_path: Path, settings: Any) -> SimpleNamespace:
    real = {field.name: getattr(settings.WATCHBILL, field.name) for field in fields(settings.WATCHBILL)}
    folders = {"backup_root": tmp_path / "backups", "data_dir": tmp_path / "watchbill"}
    watch = SimpleNamespace(**real | {"s3": S3Settings()} | folders)
    settings.WATCHBILL = watch
    return watch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a Portagent, its WAL database left out: that one is waited for until it is at rest."""
    folder = tmp_path / "portagent" / "data"
    folder.mkdir(parents=True)
    for name in ("agentx", "portagent"):
        shutil.copy(PORTAGENT / f"{name}.db", folder)
    return folder


@pytest.fixture
def context(watch: SimpleNamespace, data: Path, transactional_db: None) -> FakeContext:
    organisation = Organisation.objects.create(slug="acme", name="Acme")
    agent = Agent.objects.create(organisation=organisation, slug="lead", state_folder=str(data.parent))
    context = FakeContext(agent_view(id=agent.pk, state_folder=str(data.parent)))
    context.organisation_id = organisation.pk
    return context


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backups.archive.fingerprint._SETTLED", 0.0)


@pytest.fixture(autouse=True)
def no_scratch_left(watch: SimpleNamespace) -> Iterator[None]:
    """Whatever became of the run."""
    yield
    scratch = watch.data_dir / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []


def run(context: FakeContext, **payload: object) -> Result:
    from django.conf import settings

    payload = {"to": str(settings.WATCHBILL.backup_root)} | payload
    return DatabaseBackup().execute(DatabaseBackupPayload(**payload), context)


def archive_of(result: Result) -> Path:
    backup = Backup.objects.get(pk=result.details["backup"])
    return Path(backup.root) / backup.prefix / backup.name


def unpacked(archive: Path, target: Path) -> Path:
    """As seed 002 does it."""
    target.mkdir()
    subprocess.run(["tar", "xzf", archive], cwd=target, check=True)
    return target


def stamp_of(archive: Path) -> str:
    match = NAME.fullmatch(archive.name)
    assert match
    return match[1]


def spoil(path: Path, page: int = 9) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xff" * 4096)


def failing(context: FakeContext, **payload: object) -> ExecutorError:
    with pytest.raises(ExecutorError) as caught:
        run(context, **payload)
    return caught.value


def test_the_archive_is_the_one_of_seed_002(context: FakeContext, data: Path, tmp_path: Path) -> None:
    shutil.copy(PORTAGENT / "queue.db", data)
    before = snapshot(data)
    result = run(context)
    archive = archive_of(result)
    stamp = stamp_of(archive)
    assert context.text("stdout") == f"Backup completed: {archive.parent}/backup-{stamp}.tar.gz\n"
    assert result.summary == context.text("stdout").strip()
    there = unpacked(archive, tmp_path / "there")
    names = {each.name for each in there.iterdir()} - {"watchbill-manifest.jsonl"}
    assert names == {f"agentx-{stamp}.db", f"portagent-{stamp}.db", f"queue-{stamp}.db"}
    assert rows_of(there / f"portagent-{stamp}.db", "SELECT COUNT(*) FROM users") == [(3,)]
    assert rows_of(there / f"agentx-{stamp}.db", "SELECT COUNT(*) FROM kv_storage WHERE key LIKE 'images:%'") == [(1,)]
    for name in ("agentx", "portagent", "queue"):
        with closing(sqlite3.connect(there / f"{name}-{stamp}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            dump = list(copy.iterdump())
        with closing(sqlite3.connect(f"file:{data / name}.db?mode=ro&immutable=1", uri=True)) as source:
            assert dump == list(source.iterdump())
    assert snapshot(data) == before, "nothing is left in the agent's folder"
    backup = Backup.objects.get()
    assert (backup.state, backup.kind, backup.source) == ("verified", "database", str(data))
    told = {each["path"]: each["journal_mode"] for each in backup.details["databases"]}
    assert told == {"agentx.db": "delete", "portagent.db": "delete", "queue.db": "wal"}


def test_the_rules_are_thirty_days_unless_others_are_given(context: FakeContext, watch: SimpleNamespace) -> None:
    run(context)
    assert Backup.objects.get().retention == {"days": 30}
    assert DatabaseBackupPayload(to="hot").rules() == Rules()
    assert DatabaseBackupPayload(keep=3).rules() == Rules(last=3)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_modes_and_the_owner_are_those_of_the_database(context: FakeContext, data: Path) -> None:
    (data / "agentx.db").chmod(0o600)
    (data / "portagent.db").chmod(0o640)
    for path in (data, *data.iterdir()):
        os.chown(path, AGENT_USER, AGENT_USER + 1)
    archive = archive_of(run(context))
    with tarfile.open(archive) as tar:
        found = {each.name: (each.mode, each.uid, each.gid) for each in tar if each.name.endswith(".db")}
    stamp = stamp_of(archive)
    assert found == {
        f"agentx-{stamp}.db": (0o600, AGENT_USER, AGENT_USER + 1),
        f"portagent-{stamp}.db": (0o640, AGENT_USER, AGENT_USER + 1),
    }


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_with_a_live_writer_what_is_archived_is_consistent(
    mode: str, context: FakeContext, data: Path, tmp_path: Path
) -> None:
    make_accounts(data / "busy.db")
    with writing(data / "busy.db", mode) as writer:
        archives = [archive_of(run(context, databases=["busy.db"])) for _ in range(2)]
        assert writer.poll() is None
    hashes = set()
    for number, archive in enumerate(archives):
        copy = unpacked(archive, tmp_path / str(number)) / f"busy-{stamp_of(archive)}.db"
        assert rows_of(copy, "SELECT SUM(amount), COUNT(*) FROM account") == [(0, 2000)]
        assert rows_of(copy, "PRAGMA integrity_check") == [("ok",)]
        assert not list(copy.parent.glob("*-wal"))
        hashes.add(copy.read_bytes())
    assert len(hashes) == 2, "the writer wrote"


def test_what_waits_in_a_wal_is_in_the_archive(context: FakeContext, data: Path, tmp_path: Path) -> None:
    make_accounts(data / "a.db", 50)
    with running(DYING_IN_WAL, data / "a.db"):
        archive = archive_of(run(context, databases=["a.db"]))
    copy = unpacked(archive, tmp_path / "there") / f"a-{stamp_of(archive)}.db"
    assert rows_of(copy, "SELECT SUM(amount) FROM account") == [(50,)]


def test_nothing_is_left_after_a_stop_in_the_middle(context: FakeContext, watch: SimpleNamespace) -> None:
    log = context.log

    def stop_after_the_first(text: str, *, stream: str = "system") -> None:
        log(text, stream=stream)
        if text.startswith("agentx.db: "):
            context.stop()

    context.log = stop_after_the_first
    with pytest.raises(Stopped):
        run(context)
    assert not Backup.objects.exists()
    assert not [path for path in watch.backup_root.rglob("*") if path.is_file()]


def test_nothing_is_left_after_a_failure_in_the_middle(
    context: FakeContext, watch: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ArchiveError("the disk fell out")

    monkeypatch.setattr(database_backup, "check_copy", fail)
    assert failing(context).code == "archive_error"
    assert "[Backup] Backup failed: the disk fell out" in context.text()
    assert not Backup.objects.exists()
    assert not [path for path in watch.backup_root.rglob("*") if path.is_file()]


def test_what_did_not_change_is_not_archived_again(context: FakeContext, data: Path, at_rest: None) -> None:
    first = run(context)
    again = run(context)
    assert again.details == {"backup": first.details["backup"], "name": first.details["name"], "unchanged": True}
    assert Backup.objects.count() == 1
    with closing(sqlite3.connect(data / "portagent.db")) as connection, connection:
        connection.execute("UPDATE users SET isActive = 0 WHERE rowid = 1")
    second = run(context)
    assert "unchanged" not in second.details
    assert run(context, databases=["agentx.db"]).details["name"] != second.details["name"], "of fewer databases"


def test_what_is_written_to_a_wal_only_is_noticed(context: FakeContext, data: Path, at_rest: None) -> None:
    make_accounts(data / "a.db", 50)
    with closing(sqlite3.connect(data / "a.db", isolation_level=None)) as agent:
        agent.execute("PRAGMA journal_mode=WAL")
        agent.execute("UPDATE account SET amount = 1 WHERE id = 1")
        run(context)
        assert run(context).details["unchanged"]
        main = (data / "a.db").stat()
        agent.execute("UPDATE account SET amount = 2 WHERE id = 1")
        assert (data / "a.db").stat() == main
        assert "unchanged" not in run(context).details


def test_a_damaged_database_never_takes_the_place_of_a_good_archive(context: FakeContext, data: Path) -> None:
    make_accounts(data / "a.db")
    good = archive_of(run(context, keep=1))
    spoil(data / "a.db")
    for _ in range(2):
        error = failing(context, keep=1)
        assert (error.code, error.retryable) == ("source_damaged", False)
        assert "a.db: " in str(error)
        assert "Restore it from the last good backup" in str(error)
    assert good.exists()
    states = list(Backup.objects.order_by("began_at").values_list("state", flat=True))
    assert states == ["verified", "damaged", "damaged"], "what can be had of it is kept, and does not count"
    damaged = Backup.objects.filter(state="damaged").first()
    assert damaged
    assert "a.db: " in damaged.problem


def test_a_damaged_database_is_known_from_its_archive_when_its_record_was_lost(
    context: FakeContext, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(**_: Any) -> None:
        raise Died

    make_accounts(data / "a.db")
    spoil(data / "a.db")
    with monkeypatch.context() as killed:
        killed.setattr("backups.archiving.backup_record", die)
        with pytest.raises(Died):
            run(context)
    DatabaseBackup().reap(context.handles[-1], context)
    found = Backup.objects.get()
    assert (found.state, found.details) == ("complete", {})
    backup_verify(backup=found)
    found.refresh_from_db()
    assert found.state == "damaged"
    assert "the database itself is damaged (a.db: " in found.problem


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096], ids=["cut to nothing", "its first page written over"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_file_that_was_a_database_counts_as_damaged(
    content: bytes, alone: bool, context: FakeContext, data: Path
) -> None:
    """An archive without it would count as good, and in time take the place of those that have it."""
    if alone:
        (data / "portagent.db").unlink()
    good = archive_of(run(context, keep=1))
    (data / "agentx.db").write_bytes(content)
    for _ in range(2):
        error = failing(context, keep=1)
        assert (error.code, error.retryable) == ("source_damaged", False)
        assert "agentx.db: it " in str(error)
        assert "if that is meant, name those that are left: databases" in str(error)
    assert good.exists()
    assert Backup.objects.good().count() == 1
    if not alone:
        assert run(context, keep=1, databases=["portagent.db"]).details["verified"], "that is the way on"


def test_a_database_that_its_agent_removed_is_not_missed(context: FakeContext, data: Path) -> None:
    run(context)
    (data / "agentx.db").unlink()
    assert run(context).details["entries"] == 1


def test_one_that_vanishes_before_its_turn_is_noted(
    context: FakeContext, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(data / "agentx.db", data / "short-lived.db")
    copy = database_backup.copy_database

    def copied(root: int, name: str, *rest: Any, **options: Any) -> Any:
        (data / "short-lived.db").unlink(missing_ok=True)
        return copy(root, name, *rest, **options)

    monkeypatch.setattr(database_backup, "copy_database", copied)
    result = run(context)
    assert (result.details["entries"], result.details["skipped"]) == (2, 1)
    assert "Note: short-lived.db: vanished" in context.text()
    shutil.copy(data / "agentx.db", data / "short-lived.db")
    assert failing(context, databases=["agentx.db", "short-lived.db"]).code == "database_missing"


def test_a_folder_without_databases(context: FakeContext, data: Path) -> None:
    for path in data.iterdir():
        path.unlink()
    (data / "notes.txt").write_text("hi")
    error = failing(context)
    assert (error.code, error.retryable) == ("workspace_missing", False)
    assert f"There is no SQLite database in {data}" in str(error)
    shutil.rmtree(data.parent)
    assert "does not exist here" in str(failing(context))
    assert not Backup.objects.exists()


def test_a_link_is_not_followed_and_that_is_told(context: FakeContext, data: Path, tmp_path: Path) -> None:
    make_accounts(tmp_path / "secret.db", 5)
    (data / "agentx.db").unlink()
    (data / "agentx.db").symlink_to(tmp_path / "secret.db")
    result = run(context)
    assert (result.details["entries"], result.details["skipped"]) == (1, 1)
    assert "Note: agentx.db: a link, which is not followed" in context.text()
    assert failing(context, databases=["agentx.db"]).code == "database_missing"
    (data / "portagent.db").unlink()
    assert "Left out: agentx.db: a link" in str(failing(context)), "the reason stands beside the failure"


def test_chosen_databases(context: FakeContext, data: Path, tmp_path: Path) -> None:
    (data / "agents/one").mkdir(parents=True)
    shutil.copy(data / "agentx.db", data / "agents/one/memory.sqlite")
    shutil.copy(data / "agentx.db", data / "noending")
    chosen = ["agents/one/memory.sqlite", "./noending", "noending"]
    archive = archive_of(run(context, databases=chosen))
    stamp = stamp_of(archive)
    there = unpacked(archive, tmp_path / "there")
    found = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    assert found == {f"agents/one/memory-{stamp}.sqlite", f"noending-{stamp}", "watchbill-manifest.jsonl"}
    assert failing(context, databases=["nowhere.db"]).code == "database_missing"
    (data / "text.db").write_text("hello, I am no database at all")
    assert failing(context, databases=["text.db"]).code == "not_a_database"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("agentx.db", "agentx-S.db"),
        ("a/b.c.sqlite", "a/b.c-S.sqlite"),
        ("noending", "noending-S"),
        ("a.b/noending", "a.b/noending-S"),
    ],
)
def test_names(path: str, name: str) -> None:
    assert archived_name(path, "S") == name


def test_what_is_not_the_agents_is_refused(context: FakeContext, data: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    make_accounts(outside / "secret.db", 5)
    (data.parent / "out").symlink_to(outside)
    refused = [{"source": source} for source in ("/etc", "..", "out", str(outside), "data/../../outside")]
    refused += [{"databases": (path,)} for path in ("../agentx.db", str(outside / "secret.db"), "", ".")]
    for payload in refused:
        with pytest.raises(ValueError, match=r"is not (inside of the folders of the agent|a path below)"):
            DatabaseBackup().check_payload(DatabaseBackupPayload(**payload), agent=context.agent)
        error = failing(context, **payload)
        assert (error.code, error.retryable) == ("place_refused", False)
    assert failing(context, source="data", databases=["sub/x.db"]).code == "database_missing"


def test_which_folder_it_is(context: FakeContext, data: Path) -> None:
    assert context.agent is not None
    assert run(context, source=str(data)).details["entries"] == 2
    data.rename(data.parent / "elsewhere")
    assert run(context).details["entries"] == 3, "the state folder, when it has no data folder; with the folder of them"
    assert run(context, source="elsewhere").details["entries"] == 2
    for agent, text in ((None, "whose databases"), (agent_view(), "has no state folder")):
        with pytest.raises(ValueError, match=text):
            DatabaseBackup().check_payload(DatabaseBackupPayload(), agent=agent)
        assert failing(FakeContext(agent)).code == "invalid_payload"


def test_watchbills_own_databases_are_left_out(context: FakeContext, watch: SimpleNamespace, data: Path) -> None:
    watch.data_dir = data / "watchbill"
    watch.data_dir.mkdir()
    make_accounts(watch.data_dir / "watchbill.db", 5)
    assert run(context).details["entries"] == 2


def test_a_name_that_no_database_of_ours_can_hold_is_archived_all_the_same(
    context: FakeContext, data: Path, tmp_path: Path
) -> None:
    shutil.copy(data / "agentx.db", os.fsencode(data) + b"/b\xff.db")
    archive = archive_of(run(context))
    there = unpacked(archive, tmp_path / "there")
    assert os.fsencode(f"b\udcff-{stamp_of(archive)}.db") in {os.fsencode(each.name) for each in there.iterdir()}
    paths = {each["path"] for each in Backup.objects.get().details["databases"]}
    assert paths == {"agentx.db", "portagent.db", "b\ufffd.db"}


def test_a_later_check_of_its_bytes_does_not_make_it_good(context: FakeContext, data: Path) -> None:
    make_accounts(data / "a.db")
    run(context, keep=1)
    spoil(data / "a.db")
    failing(context, keep=1)
    damaged = Backup.objects.get(state="damaged")
    backup_verify(backup=damaged)
    damaged.refresh_from_db()
    assert damaged.state == "damaged"
