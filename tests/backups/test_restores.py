"""``workspace.restore`` and ``database.restore``: what comes back, and what stands when something goes wrong."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backups.archive.journal import STAGING
from backups.executors.database_backup import DatabaseBackup, DatabaseBackupPayload
from backups.executors.database_restore import DatabaseRestore
from backups.executors.workspace_backup import WorkspaceBackup, WorkspaceBackupPayload
from backups.executors.workspace_restore import WorkspaceRestore
from backups.models import Backup, Restore
from backups.restorepayload import RestorePayload
from backups.retention.tiers import Hot, Tiers, Warm
from backups.services.restores import restore_confirm, restore_undo
from fleet.actors import Actor
from fleet.errors import Conflict
from monitoring.models import Alert
from schedules.executors.base import ExecutorError, Result, Stopped
from tests.run_context import FakeContext, agent_view

ME = Actor.command("me")
CASES = Path(__file__).parents[1] / "cases"
COMPARE = Path(__file__).parents[1] / "tools" / "manifest.py"


def back_up(context: FakeContext, watch: SimpleNamespace, **payload: Any) -> Backup:
    payload = {"to": str(watch.backup_root), **payload}
    result = WorkspaceBackup().execute(WorkspaceBackupPayload(**payload), context)
    return Backup.objects.get(pk=result.details["backup"])


def path_of(backup: Backup) -> Path:
    return Path(backup.root) / backup.prefix / backup.name


def anew(context: FakeContext) -> FakeContext:
    """Each restore is a run of its own."""
    if Restore.objects.filter(job_run_id=context.job_run_id).exists():
        context.job_run_id = f"run-{secrets.token_hex(4)}"
    return context


def restore(context: FakeContext, **payload: Any) -> Result:
    return WorkspaceRestore().execute(RestorePayload(**payload), anew(context))


def differences(one: Path, other: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, COMPARE, one, other], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found["diffs"]  # type: ignore[no-any-return]


def left_beside(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir() if path.name.startswith(STAGING)]


def test_the_latest_comes_back_and_the_former_tree_is_kept(
    watch: SimpleNamespace, context: FakeContext, tmp_path: Path
) -> None:
    workspace = Path(context.agent.workspace_folder)
    shutil.copytree(workspace, tmp_path / "as-it-was", symlinks=True)
    backup = back_up(context, watch)
    shutil.rmtree(workspace / "notes")
    (workspace / "run.sh").write_text("rm -rf /")
    result = restore(context)
    assert result.summary.startswith(f"[Restore] Restored {backup.name} to {workspace} in ")
    assert (workspace / "notes/今日.md").read_text(encoding="utf-8") == "夜班\n"
    row = Restore.objects.get()
    assert (row.state, row.backup, row.entries, row.job_run_id) == ("done", backup, 10, "run-7")
    assert (Path(row.kept) / "run.sh").read_text() == "rm -rf /"
    assert f"manage.py backup undo {row.pk}" in context.text()
    undone = restore_undo(restore=row, actor=ME)
    assert undone.state == "undone"
    assert (workspace / "run.sh").read_text() == "rm -rf /"
    assert not Path(row.kept).exists()
    with pytest.raises(Conflict, match="settled already"):
        restore_confirm(restore=row, actor=ME)
    again = Restore.objects.get(pk=restore(context).details["restore"])
    restore_confirm(restore=again, actor=ME)
    assert sorted(path.name for path in workspace.parent.iterdir()) == ["state", "workspace"]


def test_chosen_paths_and_another_folder(watch: SimpleNamespace, context: FakeContext) -> None:
    workspace = Path(context.agent.workspace_folder)
    back_up(context, watch)
    (workspace / "run.sh").write_text("changed")
    (workspace / "zero").write_text("changed")
    restore(context, paths=["run.sh"])
    assert (workspace / "run.sh").read_text().startswith("#!/bin/sh")
    assert (workspace / "zero").read_text() == "changed"
    restore(context, to=f"{context.agent.state_folder}/look", health="skip")
    assert Path(context.agent.state_folder, "look/zero").read_text() == ""
    restore(context, to=f"{watch.data_dir}/restores/acme/look")
    shutil.rmtree(f"{watch.data_dir}/restores")
    for to in (
        f"{watch.data_dir}/restores/rival/look",
        "/etc",
        "look",
        f"{context.agent.state_folder}/../../elsewhere",
    ):
        with pytest.raises(ExecutorError, match="is not inside of the folders") as caught:
            restore(context, to=to)
        assert caught.value.code == "place_refused"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_and_modes_as_asked(watch: SimpleNamespace, context: FakeContext) -> None:
    workspace = Path(context.agent.workspace_folder)
    back_up(context, watch)
    restore(context, chown="1234:1235", folder_mode="0700", file_mode="0600")
    for path in [workspace, *workspace.rglob("*")]:
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (1234, 1235), path
        if not path.is_symlink():
            assert status.st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_which_backup(watch: SimpleNamespace, context: FakeContext) -> None:
    with pytest.raises(ExecutorError, match="no verified workspace backup of 'lead'"):
        restore(context)
    first = back_up(context, watch)
    second = back_up(context, watch, if_unchanged="archive", verify=False)
    assert restore(context).details["name"] == first.name, "the other one was never read back"
    assert restore(context, backup=second.pk).details["name"] == second.name
    assert restore(context, backup=second.name).details["backup"] == second.pk
    Backup.objects.filter(pk=second.pk).update(state="damaged", problem="It is cut.")
    with pytest.raises(ExecutorError, match="is not to be trusted: It is cut"):
        restore(context, backup=second.pk)
    assert restore(context, backup=second.pk, allow_damaged=True).details["backup"] == second.pk
    with pytest.raises(ExecutorError, match="no workspace backup 99999"):
        restore(context, backup=99999)


def test_another_agents_backup_is_not_there(watch: SimpleNamespace, context: FakeContext) -> None:
    backup = back_up(context, watch)
    other = FakeContext(agent_view(slug="other", workspace_folder=context.agent.workspace_folder))
    other.organisation_id = context.organisation_id
    with pytest.raises(ExecutorError, match="There is no workspace backup"):
        restore(other, backup=backup.pk)


def test_a_damaged_archive_leaves_the_old_tree(watch: SimpleNamespace, context: FakeContext) -> None:
    workspace = Path(context.agent.workspace_folder)
    backup = back_up(context, watch)
    path = Path(backup.root) / backup.prefix / backup.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (workspace / "new").touch()
    with pytest.raises(ExecutorError) as caught:
        restore(context)
    assert (caught.value.code, caught.value.retryable) == ("archive_damaged", False)
    assert (workspace / "new").exists()
    assert left_beside(workspace) == []
    assert Restore.objects.get().state == "failed"


def test_stopping_leaves_the_old_tree(watch: SimpleNamespace, context: FakeContext) -> None:
    workspace = Path(context.agent.workspace_folder)
    back_up(context, watch)
    (workspace / "new").touch()
    context.current = False
    with pytest.raises(Stopped):
        restore(context)
    assert (workspace / "new").exists()
    assert left_beside(workspace) == []


@pytest.fixture
def health() -> Iterator[SimpleNamespace]:
    """The health URL of an agent, which answers what the test wants."""
    told = SimpleNamespace(status=200)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(told.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}/health"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def test_an_agent_that_is_not_well_gets_its_former_tree_back(
    watch: SimpleNamespace, context: FakeContext, health: SimpleNamespace
) -> None:
    workspace = Path(context.agent.workspace_folder)
    back_up(context, watch)
    context.agent = agent_view(
        id=context.agent.id, workspace_folder=str(workspace), container_name="", health_url=health.url
    )
    (workspace / "new").touch()
    health.status = 503
    with pytest.raises(ExecutorError, match=r"not well after 1 s: .* answers 503") as caught:
        restore(context, health_seconds=1)
    assert caught.value.code == "unhealthy"
    assert (workspace / "new").exists()
    assert left_beside(workspace) == []
    assert "the former tree comes back" in context.text()
    health.status = 200
    restore(context, health_seconds=1)
    assert not (workspace / "new").exists()


@pytest.mark.parametrize("layout", ["openclaw-2026.2.26", "openclaw-2026.9.6"])
def test_the_state_of_openclaw_comes_back_identical(
    watch: SimpleNamespace, context: FakeContext, tmp_path: Path, layout: str
) -> None:
    """Both layouts of its state folder; the tiers lie in there as the seed has them, and are left out."""
    state = Path(context.agent.state_folder)
    shutil.copytree(CASES / layout, state, symlinks=True, dirs_exist_ok=True)
    shutil.copytree(state, tmp_path / "as-it-was", symlinks=True)
    back_up(context, watch, source=str(state))
    shutil.rmtree(state / "agents")
    (state / "openclaw.json").write_text("{}")
    restore(context)
    assert differences(tmp_path / "as-it-was", state) == {}


# -- databases


@pytest.fixture
def portagent(context: FakeContext) -> Path:
    data = Path(context.agent.state_folder) / "data"
    shutil.copytree(CASES / "portagent-1.9.0" / "data", data)
    return data


def users(data: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(data / "portagent.db") as connection:
        found = connection.execute("SELECT username, passwordHash FROM users ORDER BY 1").fetchall()
    connection.close()
    return found


def test_databases_come_back_under_their_own_names(
    watch: SimpleNamespace, context: FakeContext, portagent: Path
) -> None:
    before = users(portagent)
    assert before
    made = DatabaseBackup().execute(DatabaseBackupPayload(to=str(watch.backup_root)), context)
    (portagent / "portagent.db").write_bytes(b"damaged" * 1000)
    (portagent / "portagent.db-wal").write_bytes(b"of another database")
    (portagent / "notes.txt").write_text("stays")
    result = DatabaseRestore().execute(RestorePayload(file_mode="0600"), anew(context))
    assert result.details["name"] == made.details["name"]
    assert users(portagent) == before
    assert not (portagent / "portagent.db-wal").exists()
    assert (portagent / "notes.txt").read_text() == "stays"
    assert (portagent / "portagent.db").stat().st_mode & 0o777 == 0o600
    kept = Path(Restore.objects.get().kept)
    assert (kept / "portagent.db").read_bytes().startswith(b"damaged")


def test_one_database_of_several(watch: SimpleNamespace, context: FakeContext, portagent: Path) -> None:
    DatabaseBackup().execute(DatabaseBackupPayload(to=str(watch.backup_root)), context)
    for name in ("portagent.db", "agentx.db"):
        (portagent / name).write_bytes(b"damaged")
    DatabaseRestore().execute(RestorePayload(paths=("portagent.db",)), anew(context))
    assert users(portagent)
    assert (portagent / "agentx.db").read_bytes() == b"damaged"


def test_a_database_that_is_damaged_in_the_archive_is_not_put_in_place(
    watch: SimpleNamespace, context: FakeContext, portagent: Path
) -> None:
    """Hash and manifest agree, since it was damaged when it was archived: SQLite's own check says so."""
    content = bytearray((portagent / "agentx.db").read_bytes())
    content[4096:8192] = b"\xff" * 4096
    (portagent / "agentx.db").write_bytes(content)
    with pytest.raises(ExecutorError, match="the database itself is damaged"):
        DatabaseBackup().execute(DatabaseBackupPayload(to=str(watch.backup_root)), context)
    with pytest.raises(ExecutorError, match="no verified database backup"):
        DatabaseRestore().execute(RestorePayload(), anew(context))
    backup = Backup.objects.get()
    assert backup.state == "damaged"
    with pytest.raises(ExecutorError, match=r"agentx\.db is damaged"):
        DatabaseRestore().execute(RestorePayload(backup=backup.pk, allow_damaged=True), anew(context))


# -- taking it back


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".before-restore-" not in str(path)
    }


def test_an_undo_of_chosen_paths_touches_nothing_else(watch: SimpleNamespace, context: FakeContext) -> None:
    workspace = Path(context.agent.workspace_folder)
    back_up(context, watch)
    (workspace / "run.sh").unlink()
    (workspace / "run.sh").write_text("changed")
    shutil.rmtree(workspace / "notes")
    before = tree(workspace)
    result = restore(context, paths=["run.sh", "notes/今日.md"])
    assert "notes/今日.md" in tree(workspace)
    (workspace / "zero").write_text("written since")
    restore_undo(restore=Restore.objects.get(pk=result.details["restore"]), actor=ME)
    assert tree(workspace) == before | {"zero": b"written since"}
    assert sorted(path.name for path in workspace.parent.iterdir()) == ["state", "workspace"]


def test_an_undo_of_databases_takes_what_lies_beside_them_along(
    watch: SimpleNamespace, context: FakeContext, portagent: Path
) -> None:
    DatabaseBackup().execute(DatabaseBackupPayload(to=str(watch.backup_root)), context)
    (portagent / "agentx.db").write_bytes(b"as it was")
    (portagent / "agentx.db-wal").write_bytes(b"its log")
    (portagent / "notes.txt").write_text("stays")
    before = tree(portagent)
    DatabaseRestore().execute(RestorePayload(), anew(context))
    (portagent / "portagent.db-wal").write_bytes(b"of what was restored")
    restore_undo(restore=Restore.objects.get(), actor=ME)
    assert tree(portagent) == before


# -- what an agent could do to it, and what must stay where it is


def test_the_tiers_in_a_state_folder_stay_and_come_back_with_an_undo(
    watch: SimpleNamespace, context: FakeContext
) -> None:
    state = Path(context.agent.state_folder)
    (state / "openclaw.json").write_text("{}")
    (state / "cache").mkdir()
    (state / "cache" / "big").write_text("left out")
    watch.backup_tiers = Tiers(hot=Hot(path=str(state / "backups")), warm=Warm(path=str(state / "archive")))
    backup = back_up(context, watch, source=str(state), to="hot", leave_out=["cache"])
    (state / "openclaw.json").write_text("changed")
    row = Restore.objects.get(pk=restore(context).details["restore"])
    assert path_of(backup).exists()
    assert (state / "openclaw.json").read_text() == "{}"
    assert (state / "cache" / "big").read_text() == "left out"
    assert not (Path(row.kept) / "backups").exists()
    restore_undo(restore=row, actor=ME)
    assert path_of(backup).exists()
    assert (state / "cache" / "big").exists()
    assert (state / "openclaw.json").read_text() == "changed"
    again = Restore.objects.get(pk=restore(context).details["restore"])
    restore_confirm(restore=again, actor=ME)
    assert path_of(backup).exists()


def test_a_link_in_the_place_of_a_workspace_leads_nowhere(
    watch: SimpleNamespace, context: FakeContext, tmp_path: Path
) -> None:
    """The workspace lies in the state folder, which is the agent's: it may move it away and put a link there."""
    state = Path(context.agent.state_folder)
    inner = state / "workspace"
    inner.mkdir()
    (inner / "a").write_text("a")
    context.agent = agent_view(
        id=context.agent.id, container_name="", workspace_folder=str(inner), state_folder=str(state)
    )
    back_up(context, watch)
    host = tmp_path / "host"
    host.mkdir()
    (host / "secret").write_text("of the host")
    inner.rename(state / "away")
    inner.symlink_to(host)
    with pytest.raises(ExecutorError, match="is not inside of the folders"):
        WorkspaceBackup().execute(WorkspaceBackupPayload(to=str(watch.backup_root)), context)
    with pytest.raises(ExecutorError, match="is not inside of the folders"):
        restore(context)
    assert [path.name for path in host.iterdir()] == ["secret"]


def test_a_nested_database_takes_the_place_of_itself_alone(watch: SimpleNamespace, context: FakeContext) -> None:
    memory = Path(context.agent.state_folder) / "memory"
    memory.mkdir()
    memory.chmod(0o750)
    shutil.copy(CASES / "portagent-1.9.0" / "data" / "agentx.db", memory / "main.db")
    (memory / "journal.md").write_text("stays")
    DatabaseBackup().execute(DatabaseBackupPayload(to=str(watch.backup_root)), context)
    before = (memory / "main.db").read_bytes()
    (memory / "main.db").write_bytes(b"damaged")
    DatabaseRestore().execute(RestorePayload(), anew(context))
    assert (memory / "main.db").read_bytes() == before
    assert (memory / "journal.md").read_text() == "stays"
    shutil.rmtree(memory)
    DatabaseRestore().execute(RestorePayload(), anew(context))
    assert memory.stat().st_mode & 0o777 == 0o750


def test_a_container_that_was_stopped_before_stays_so(
    watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the runbook has it: stop the agent, then restore."""
    from backups import stopping

    asked: list[str] = []

    class StoppedEngine:
        def __init__(self, **_: Any) -> None:
            pass

        def state(self, _: str) -> SimpleNamespace:
            return SimpleNamespace(running=False, paused=False, health="")

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: asked.append(name)

    back_up(context, watch)
    monkeypatch.setattr(stopping, "DockerClient", StoppedEngine)
    context.agent = agent_view(
        id=context.agent.id, workspace_folder=context.agent.workspace_folder, container_name="agent"
    )
    restore(context)
    assert set(asked) <= {"close"}
    assert all(not handle["container"] for handle in context.handles if "restore" in handle)


@pytest.mark.parametrize("path", [".", "", "..", "/etc/passwd", "a/../../b"])
def test_a_path_that_is_none_is_refused_when_it_is_asked_for(context: FakeContext, path: str) -> None:
    with pytest.raises(ValueError, match="is no path in the archive"):
        WorkspaceRestore().check_payload(RestorePayload(paths=(path,)), agent=context.agent)


def test_a_restore_whose_worker_died_once_it_was_in_place_is_not_made_twice(
    watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, its own tree would be taken for the former one, and an undo would bring that back."""
    from backups.archive.restore import Restoration

    workspace = Path(context.agent.workspace_folder)
    back_up(context, watch)
    (workspace / "new").touch()

    class Died(BaseException):
        pass

    def die(_: Any) -> None:
        raise Died

    def close(work: Restoration, *_: object) -> None:
        work._open.close()

    with monkeypatch.context() as killed:
        killed.setattr(Restoration, "finish", die)
        killed.setattr(Restoration, "__exit__", close)
        with pytest.raises(Died):
            restore(context)
    assert not Restore.objects.exists()
    for _ in range(2):
        WorkspaceRestore().reap(context.handles[-1], context)
    result = WorkspaceRestore().execute(RestorePayload(), context)
    row = Restore.objects.get()
    assert result.details["restore"] == row.pk
    assert (Path(row.kept) / "new").exists()
    restore_undo(restore=row, actor=ME)
    assert (workspace / "new").exists()


def test_a_path_that_the_archive_does_not_hold_says_nothing_against_it(
    watch: SimpleNamespace, context: FakeContext
) -> None:
    backup = back_up(context, watch)
    with pytest.raises(ExecutorError, match="holds no nope") as caught:
        restore(context, paths=["nope"])
    assert caught.value.code == "paths_missing"
    backup.refresh_from_db()
    assert backup.state == "verified"
    assert not Alert.objects.exists()


def test_one_file_is_told_as_one(watch: SimpleNamespace, context: FakeContext) -> None:
    back_up(context, watch)
    assert restore(context, paths=["zero"]).details["entries"] == 1
    assert "has no container that could be stopped" in context.text()


def test_the_youngest_restore_is_undone_first(watch: SimpleNamespace, context: FakeContext) -> None:
    back_up(context, watch)
    older, younger = (Restore.objects.get(pk=restore(context).details["restore"]) for _ in range(2))
    with pytest.raises(Conflict, match=f"Undo or confirm that first: restore {younger.pk}"):
        restore_undo(restore=older, actor=ME)
    restore_undo(restore=younger, actor=ME)
    restore_undo(restore=older, actor=ME)
