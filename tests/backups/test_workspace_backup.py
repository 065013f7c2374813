"""``workspace.backup``: from folders and containers, to S3 and folders."""
# ruff: noqa: S108 - /tmp is a place that is refused

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import tarfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from backups import archiving, progress
from backups.archive.errors import S3FailedError
from backups.archive.folderstore import FolderStore
from backups.archive.restore import Order, restore
from backups.archive.s3client import S3Client
from backups.archive.s3store import S3Store
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks
from backups.executors.workspace_backup import WorkspaceBackup, WorkspaceBackupPayload
from backups.models import Backup
from backups.retention.tiers import Hot, Tiers, Warm
from backups.status import Storage
from fleet.models import AuditEntry
from monitoring.models import Alert
from schedules.executors.base import ExecutorError, Result, Stopped
from tests.docker_engine import Engine, ToyContainer
from tests.run_context import FakeContext, agent_view
from tests.s3_servers import keys_of, uploads_left

SUCCESS = re.compile(r"\[(S3|Backup)\] Backup completed successfully: workspace_\d{8}_\d{6}\.tar\.gz\n")


def run(context: FakeContext, **payload: object) -> Result:
    return WorkspaceBackup().execute(WorkspaceBackupPayload(**payload), context)


def check(context: FakeContext, **payload: object) -> None:
    WorkspaceBackup().check_payload(WorkspaceBackupPayload(**payload), agent=context.agent)


def test_a_folder_to_s3(watch: SimpleNamespace, context: FakeContext, rclone_s3: S3Settings, tmp_path: Path) -> None:
    watch.s3 = rclone_s3
    result = run(context)
    assert SUCCESS.fullmatch(context.text("stdout"))
    backup = Backup.objects.get(pk=result.details["backup"])
    assert (backup.name, backup.size, backup.sha256) == tuple(result.details[key] for key in ("name", "size", "sha256"))
    assert (backup.state, backup.schedule_name, backup.agent.slug) == ("verified", "nightly", "lead")
    assert "Verified: every byte" in context.text()
    key = f"workspace/acme/lead/{result.details['name']}"
    assert keys_of(rclone_s3) == [key, f"{key}.sha256"]
    assert [bool(handle["upload_id"]) for handle in context.handles] == [False, True]
    store = S3Store(rclone_s3, "workspace/acme/lead")
    assert store.checksum(result.details["name"]) == result.details["sha256"]
    assert restore(store, result.details["name"], Order(target=tmp_path / "back")).verified


def test_a_folder_to_a_folder_keeps_the_newest(watch: SimpleNamespace, context: FakeContext) -> None:
    destination = watch.backup_root / "nightly"
    results = [run(context, to=str(destination), keep=2) for _ in range(3)]
    store = FolderStore(destination / "workspace/acme/lead")
    assert [archive.name for archive in store.archives()] == [
        results[2].details["name"],
        results[1].details["name"],
    ]
    assert results[2].details["pruned"] == [results[0].details["name"]]
    assert results[0].summary.startswith("[Backup] Backup completed successfully: ")


def test_a_part_of_the_workspace_and_the_state(watch: SimpleNamespace, context: FakeContext, tmp_path: Path) -> None:
    for source in ("notes", f"{context.agent.workspace_folder}/notes", context.agent.state_folder):
        assert run(context, source=source, to=str(watch.backup_root)).details["entries"] >= 1


@pytest.mark.docker
def test_a_path_in_the_container(
    watch: SimpleNamespace,
    context: FakeContext,
    docker_engine: Engine,
    toy_container: ToyContainer,
    tmp_path: Path,
) -> None:
    watch.docker_host = docker_engine.base_url
    name = toy_container()
    made = docker_engine.api.exec_create(name, ["sh", "-c", "mkdir -p /workspace/a; echo hi > /workspace/a/b"])
    docker_engine.api.exec_start(made["Id"])
    agent = agent_view(id=context.agent.id, container_name=name, workspace_folder="/workspace")
    inside = FakeContext(agent)
    inside.organisation_id = context.organisation_id
    result = run(inside, location="container", to=str(watch.backup_root))
    store = FolderStore(watch.backup_root / "workspace/acme/lead")
    restore(store, result.details["name"], Order(target=tmp_path / "back"))
    assert (tmp_path / "back/a/b").read_text() == "hi\n"
    for source, code in (("/nowhere", "path_missing"), ("/etc/passwd", "workspace_missing")):
        with pytest.raises(ExecutorError) as caught:
            run(inside, location="container", source=source, to=str(watch.backup_root))
        assert caught.value.code == code
    with pytest.raises(ExecutorError) as caught:
        run(
            FakeContext(agent_view(workspace_folder="/workspace")),
            location="container",
            to=str(watch.backup_root),
        )
    assert caught.value.code == "container_missing"
    assert len(store.archives()) == 1


def test_what_is_not_the_agents_is_refused(watch: SimpleNamespace, context: FakeContext, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    Path(context.agent.workspace_folder, "out").symlink_to(tmp_path / "secret")
    for source in ("/etc", "..", "../../secret", "out", str(tmp_path / "secret")):
        with pytest.raises(ValueError, match="is not inside of the folders of the agent"):
            check(context, source=source)
        with pytest.raises(ExecutorError) as caught:
            run(context, source=source, to=str(watch.backup_root))
        assert (caught.value.code, caught.value.retryable) == ("place_refused", False)


def test_all_of_a_host_is_no_workspace(watch: SimpleNamespace, context: FakeContext) -> None:
    everything = agent_view(id=context.agent.id, workspace_folder="/")
    for source in (None, "/", "//", "/."):
        with pytest.raises(ValueError, match="all of a host"):
            WorkspaceBackup().check_payload(WorkspaceBackupPayload(source=source), agent=everything)


def test_a_workspace_that_was_emptied_is_told_of(watch: SimpleNamespace, context: FakeContext) -> None:
    run(context, to=str(watch.backup_root))
    full = Backup.objects.get()
    workspace = Path(context.agent.workspace_folder)
    shutil.move(workspace / "notes", workspace.parent)
    for name in ("run.sh", "run-again.sh", "bin/python", "bin/up"):
        (workspace / name).unlink()
    run(context, to=str(watch.backup_root))
    assert f"Warning: {Backup.objects.latest('pk')} holds 3 entries" in context.text()
    alert = Alert.objects.get(resolved_at=None)
    assert f"backup restore {full.pk}`" in alert.detail
    shutil.move(workspace.parent / "notes", workspace)
    run(context, to=str(watch.backup_root))
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_a_database_that_is_open_is_told_of(watch: SimpleNamespace, context: FakeContext) -> None:
    Path(context.agent.workspace_folder, "memory.db-wal").touch()
    run(context, to=str(watch.backup_root))
    assert "Note: memory.db-wal: a database that may be open" in context.text()
    assert "database.backup copies it whole" in context.text()


def test_a_destination_outside_of_the_root_is_refused(
    watch: SimpleNamespace, context: FakeContext, tmp_path: Path
) -> None:
    watch.backup_root.mkdir()
    (watch.backup_root / "out").symlink_to("/tmp")
    for to in ("/tmp", f"{watch.backup_root}/../x", f"{watch.backup_root}/out", "backups", "S3"):
        with pytest.raises(ValueError, match="to a folder below"):
            check(context, to=to)
    watch.backup_root = Path(context.agent.workspace_folder) / "archives"
    with pytest.raises(ValueError, match="swallow itself"):
        check(context, to=str(watch.backup_root))


def test_payloads(watch: SimpleNamespace, context: FakeContext) -> None:
    check(context)
    for wrong in ({"keep": 0}, {"keep": 1001}, {"location": "moon"}, {"too": "s3"}, {"source": ""}):
        with pytest.raises(ValidationError):
            WorkspaceBackupPayload(**wrong)
    for agent, payload, text in (
        (None, {}, "name an agent"),
        (agent_view(), {}, "has no workspace folder"),
        (agent_view(workspace_folder="/w", container_name=""), {"location": "container"}, "has no container"),
    ):
        with pytest.raises(ValueError, match=text):
            WorkspaceBackup().check_payload(WorkspaceBackupPayload(**payload), agent=agent)


def test_failures_name_their_reason_in_the_log(watch: SimpleNamespace, context: FakeContext) -> None:
    with pytest.raises(ExecutorError, match="S3 keys are missing") as caught:
        run(context)
    assert caught.value.code == "s3_keys_missing"
    assert "[S3] Backup failed: S3 keys are missing" in context.text()
    Path(context.agent.workspace_folder).rename(f"{context.agent.workspace_folder}-gone")
    with pytest.raises(ExecutorError, match="does not exist here") as caught:
        run(context, to=str(watch.backup_root))
    assert caught.value.code == "workspace_missing"


@pytest.mark.parametrize("to", ["s3", "folder"])
def test_one_that_was_taken_over_publishes_nothing(
    watch: SimpleNamespace, context: FakeContext, rclone_s3: S3Settings, to: str
) -> None:
    watch.s3 = rclone_s3
    context.current = False
    with pytest.raises(Stopped):
        run(context, to="s3" if to == "s3" else str(watch.backup_root))
    assert keys_of(rclone_s3) == uploads_left(rclone_s3) == []
    assert not [path for path in watch.backup_root.rglob("*") if path.is_file()]


def test_stopping_in_the_middle_leaves_nothing(
    watch: SimpleNamespace, context: FakeContext, rclone_s3: S3Settings
) -> None:
    watch.s3 = rclone_s3
    Path(context.agent.workspace_folder, "big").write_bytes(os.urandom(40_000_000))
    record = context.record_handle

    def then_stop(handle: Mapping[str, object]) -> None:
        record(handle)
        if handle["upload_id"]:
            context.stop()

    context.record_handle = then_stop
    with pytest.raises(Stopped):
        run(context)
    assert keys_of(rclone_s3) == uploads_left(rclone_s3) == []


@pytest.mark.parametrize("to", ["s3", "folder"])
def test_reaping_a_dead_attempt(
    watch: SimpleNamespace,
    context: FakeContext,
    rclone_s3: S3Settings,
    monkeypatch: pytest.MonkeyPatch,
    to: str,
) -> None:
    watch.s3 = rclone_s3

    class Died(BaseException):
        pass

    def die() -> bool:
        raise Died

    for kind in ("s3upload.S3Upload", "folderstore.FolderUpload"):
        monkeypatch.setattr(f"backups.archive.{kind}.abort", lambda upload: getattr(upload, "_file", upload) and None)
    context.is_current = die
    with pytest.raises(Died):
        run(context, to="s3" if to == "s3" else str(watch.backup_root))
    monkeypatch.undo()
    left = uploads_left(rclone_s3) if to == "s3" else [*watch.backup_root.rglob("*.part")]
    assert len(left) == 1
    reaping = FakeContext(context.agent)
    reaping.stop()  # a cancelled one is reaped as well
    for _ in range(2):
        WorkspaceBackup().reap(context.handles[-1], reaping)
    assert reaping.text() == "The unfinished archive was removed.\n"
    assert uploads_left(rclone_s3) == []
    assert not [path for path in watch.backup_root.rglob("*") if path.is_file()]


def test_progress_is_logged(watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    run(context, to=str(watch.backup_root))
    assert re.search(r"B read, .* stored, .*/s\n", context.text("system"))


def test_reaping_after_a_failure_is_quick_and_silent(
    watch: SimpleNamespace, context: FakeContext, rclone_s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.s3 = rclone_s3
    context.current = False
    with pytest.raises(Stopped):
        run(context)
    reaping = FakeContext(context.agent)
    started = time.monotonic()
    WorkspaceBackup().reap(context.handles[-1], reaping)
    assert time.monotonic() - started < 1
    assert not reaping.lines


def test_an_upload_that_can_not_be_removed_is_not_hidden(
    watch: SimpleNamespace, context: FakeContext, rclone_s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.s3 = rclone_s3
    request = S3Client._request

    def refuse(client: S3Client, operation: str, params: dict[str, object]) -> object:
        if operation == "abort_multipart_upload":
            raise S3FailedError("S3 answered 500 InternalError.")
        return request(client, operation, params)

    monkeypatch.setattr(S3Client, "_request", refuse)
    context.current = False
    with pytest.raises(Stopped):
        run(context)
    reaping = FakeContext(context.agent)
    with pytest.raises(
        ExecutorError, match=r"upload of workspace/acme/lead/workspace_\S+ may be left: S3 answered 500"
    ):
        WorkspaceBackup().reap(context.handles[-1], reaping)
    assert len(uploads_left(rclone_s3)) == 1
    monkeypatch.setattr(S3Client, "_request", request)
    WorkspaceBackup().reap(context.handles[-1], reaping)
    assert uploads_left(rclone_s3) == []


def test_a_name_is_not_given_up_while_its_upload_is_left(
    rclone_s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handle of the next name would take the place of the one that leads to it."""
    name = "workspace_20260101_000000.tar.gz"
    store = S3Store(rclone_s3, "workspace/lead")
    first = store.begin(name, Hooks())
    request = S3Client._request

    def refuse(client: S3Client, operation: str, params: dict[str, object]) -> object:
        if operation == "abort_multipart_upload":
            raise S3FailedError("S3 answered 500 InternalError.")
        return request(client, operation, params)

    monkeypatch.setattr(S3Client, "_request", refuse)
    with pytest.raises(S3FailedError):
        store.begin(name, Hooks())
    monkeypatch.undo()
    first.abort()


def test_reaping_waits_for_an_answer_only_so_long(
    watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "_REAP_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        watch.s3 = S3Settings(endpoint_url=url, access_key_id="a", secret_access_key="b")
        handle = {"store": "s3", "bucket": "b", "key": "k", "upload_id": "u"}
        with pytest.raises(ExecutorError, match="did not answer"):
            WorkspaceBackup().reap(handle, context)


def test_the_status_names_no_password(settings: Any, rclone_s3: S3Settings) -> None:
    url = rclone_s3.endpoint_url.replace("//", "//someone:hunter2@")
    s3 = replace(rclone_s3, endpoint_url=url)
    settings.WATCHBILL = replace(settings.WATCHBILL, s3=s3)
    text = str(Storage().look())
    assert rclone_s3.endpoint_url.removeprefix("http://") in text
    assert "hunter2" not in text


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workspaces count as at rest at once: nothing in these tests writes while it is read."""
    monkeypatch.setattr("backups.archive.fingerprint._SETTLED", 0.0)


def test_what_did_not_change_is_not_archived_again(watch: SimpleNamespace, context: FakeContext, at_rest: None) -> None:
    to = str(watch.backup_root)
    first = run(context, to=to)
    again = run(context, to=to)
    assert again.summary == f"[Backup] Unchanged, same as {first.details['name']}"
    backup = Backup.objects.get()
    assert backup.still_at > backup.began_at
    assert run(context, to=to, if_unchanged="archive").details["name"] != first.details["name"]
    Path(context.agent.workspace_folder, "new").touch()
    assert "unchanged" not in run(context, to=to).details
    assert "unchanged" not in run(context, to=f"{to}/elsewhere").details, "another place has none yet"
    assert "unchanged" not in run(context, to=to, leave_out=["bin"]).details


def test_an_unverified_or_damaged_one_is_no_reason_to_make_none(
    watch: SimpleNamespace, context: FakeContext, at_rest: None
) -> None:
    to = str(watch.backup_root)
    first = run(context, to=to, verify=False)
    assert Backup.objects.get().state == "complete"
    second = run(context, to=to)
    assert second.details["name"] != first.details["name"]
    Backup.objects.filter(state="verified").update(state="damaged")
    assert "unchanged" not in run(context, to=to).details


def test_an_archive_that_is_damaged_at_once_fails_the_run_and_is_told(
    watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = FolderStore.reader

    def flipped(store: FolderStore, name: str, *, offset: int = 0) -> Any:
        path = store.folder / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return reader(store, name, offset=offset)

    monkeypatch.setattr(FolderStore, "reader", flipped)
    with pytest.raises(ExecutorError, match="was written and is damaged") as caught:
        run(context, to=str(watch.backup_root))
    assert (caught.value.code, caught.value.retryable) == ("archive_damaged", True)
    backup = Backup.objects.get()
    assert backup.state == "damaged"
    alert = Alert.objects.get(resolved_at=None)
    assert "manage.py backup create --agent lead" in alert.detail


def test_only_good_ones_count_for_keeping(watch: SimpleNamespace, context: FakeContext) -> None:
    to = str(watch.backup_root)
    good = run(context, to=to, keep=1)
    unverified = [run(context, to=to, keep=1, verify=False).details["name"] for _ in range(2)]
    names = {archive.name for archive in FolderStore(watch.backup_root / "workspace/acme/lead").archives()}
    assert names == {good.details["name"], *unverified}
    last = run(context, to=to, keep=1)
    assert set(last.details["pruned"]) == {good.details["name"], *unverified}
    assert AuditEntry.objects.filter(action="backup.delete").count() == 3
    assert Backup.objects.filter(state="deleted").count() == 3


def test_it_can_be_encrypted_for_somebody(watch: SimpleNamespace, context: FakeContext, tmp_path: Path) -> None:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    watch.backup_identity = str(identity)
    watch.backup_recipient = str(identity.to_public())
    result = run(context, to=str(watch.backup_root))
    assert result.details["name"].endswith(".tar.gz.age")
    backup = Backup.objects.get()
    assert (backup.state, backup.key_id) == ("verified", watch.backup_recipient[:16])
    content = (watch.backup_root / "workspace/acme/lead" / backup.name).read_bytes()
    assert content.startswith(b"age-encryption.org/v1")
    with tarfile.open(fileobj=io.BytesIO(pyrage.decrypt(content, [identity]))) as tar:
        assert "workspace/run.sh" in tar.getnames()
    watch.backup_identity = ""
    blind = run(context, to=str(watch.backup_root), if_unchanged="archive")
    assert "could not be read back yet: " in context.text()
    assert Backup.objects.get(pk=blind.details["backup"]).state == "complete"
    plain = run(context, to=str(watch.backup_root), recipient="none")
    assert plain.details["name"].endswith(".tar.gz")
    with pytest.raises(ValueError, match="not a recipient of age"):
        check(context, recipient="hunter2")


def test_the_tiers_lie_in_the_state_folder_and_are_left_out(watch: SimpleNamespace, context: FakeContext) -> None:
    state = Path(context.agent.state_folder)
    (state / "openclaw.json").write_text("{}")
    watch.backup_tiers = Tiers(hot=Hot(path=str(state / "backups")), warm=Warm(path=str(state / "archive")))
    result = run(context, source=str(state), to="hot")
    backup = Backup.objects.get()
    assert (backup.tier, backup.root) == ("hot", str(state / "backups"))
    assert result.details["entries"] == 2
    again = run(context, source=str(state), to="hot", if_unchanged="archive")
    assert again.details["entries"] == 2


@pytest.mark.docker
def test_an_agent_is_told_before_and_after_and_stands_still_meanwhile(
    watch: SimpleNamespace,
    context: FakeContext,
    docker_engine: Engine,
    toy_container: ToyContainer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch.docker_host = docker_engine.base_url
    name = toy_container()
    context.agent = replace(context.agent, container_name=name)
    seen: list[str] = []
    read = archiving.make_archive

    def look(*arguments: Any, **options: Any) -> Any:
        seen.append(docker_engine.api.inspect_container(name)["State"]["Status"])
        return read(*arguments, **options)

    monkeypatch.setattr(archiving, "make_archive", look)
    around = {"pause": True, "before": ["sh", "-c", "echo flushed"], "after": ["sh", "-c", "echo goes on"]}
    run(context, to=str(watch.backup_root), **around)
    assert seen == ["paused"]
    assert docker_engine.api.inspect_container(name)["State"]["Status"] == "running"
    assert "flushed" in context.text("stdout")
    assert "goes on" in context.text("stdout")
    with pytest.raises(ExecutorError, match="before the backup ended with 3"):
        run(context, to=str(watch.backup_root), before=["sh", "-c", "exit 3"])
    with pytest.raises(ValueError, match="and it has none"):
        WorkspaceBackup().check_payload(
            WorkspaceBackupPayload(pause=True), agent=agent_view(workspace_folder="/w", container_name="")
        )


@pytest.mark.docker
def test_one_that_somebody_has_paused_stays_so(
    watch: SimpleNamespace, context: FakeContext, docker_engine: Engine, toy_container: ToyContainer
) -> None:
    watch.docker_host = docker_engine.base_url
    name = toy_container()
    context.agent = replace(context.agent, container_name=name)
    docker_engine.api.pause(name)
    run(context, to=str(watch.backup_root), pause=True)
    assert docker_engine.api.inspect_container(name)["State"]["Status"] == "paused"
    docker_engine.api.unpause(name)


@pytest.mark.docker
def test_an_agent_that_a_lost_attempt_left_paused_goes_on(
    watch: SimpleNamespace, context: FakeContext, docker_engine: Engine, toy_container: ToyContainer
) -> None:
    watch.docker_host = docker_engine.base_url
    name = toy_container()
    context.agent = replace(context.agent, container_name=name)
    run(context, to=str(watch.backup_root), pause=True)
    assert all(handle["paused"] for handle in context.handles)
    docker_engine.api.pause(name)
    for _ in range(2):
        WorkspaceBackup().reap(context.handles[-1], context)
    assert docker_engine.api.inspect_container(name)["State"]["Status"] == "running"


@pytest.mark.parametrize(
    ("done", "total", "seconds", "told"),
    [
        (10 * 1024**2, 0, 2.0, ", 5.0 MiB/s"),
        (10 * 1024**2, 30 * 1024**2, 2.0, ", 5.0 MiB/s, 4 s left"),
        (10, 5, 2.0, ", 5 B/s"),
        (0, 10, 0.0, ", 0 B/s"),
    ],
)
def test_the_pace_of_long_work(done: int, total: int, seconds: float, told: str) -> None:
    assert progress.pace(done, total, seconds) == told


def test_an_archive_that_is_gone_holds_nothing_any_more(
    watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.archive.fingerprint._SETTLED", 0.0)
    run(context, to=str(watch.backup_root))
    gone = Backup.objects.get()
    (Path(gone.root) / gone.prefix / gone.name).unlink()
    Backup.objects.update(name="workspace_20260101_000000.tar.gz")
    assert "unchanged" not in run(context, to=str(watch.backup_root)).details
    still = gone.still_at
    gone.refresh_from_db()
    assert gone.still_at == still


def test_an_archive_that_was_published_just_before_its_worker_died_is_recorded(
    watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(**_: Any) -> None:
        raise Died

    with monkeypatch.context() as killed:
        killed.setattr(archiving, "backup_record", die)
        with pytest.raises(Died):
            run(context, to=str(watch.backup_root))
    assert not Backup.objects.exists()
    for _ in range(2):
        WorkspaceBackup().reap(context.handles[-1], context)
    backup = Backup.objects.get()
    assert (backup.state, backup.schedule_name, backup.entries) == ("complete", "nightly", None)
    assert "was complete already, and is recorded now" in context.text()


def test_the_archive_of_another_job_is_no_reason_to_make_none(
    watch: SimpleNamespace, context: FakeContext, at_rest: None
) -> None:
    """It goes by the other job's rules of keeping, perhaps tomorrow."""
    to = str(watch.backup_root)
    run(context, to=to)
    context.schedule = "weekly"
    assert "unchanged" not in run(context, to=to).details
    assert run(context, to=to).details["unchanged"]
