"""``manage.py backup``: what its subcommands say and do. The runs that they ask for are seen in tests/acceptance."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage
import pytest
import redis as redis_client

from backups.archive.settings import S3Settings
from backups.executors.database_backup import DatabaseBackup, DatabaseBackupPayload
from backups.executors.restore_drill import DrillPayload, RestoreDrill
from backups.executors.workspace_backup import WorkspaceBackup, WorkspaceBackupPayload
from backups.executors.workspace_restore import WorkspaceRestore
from backups.models import Backup, Restore
from backups.restorepayload import RestorePayload
from backups.services.adoption import adopted_again, archives_adopt
from backups.services.verification import backup_verify
from fleet.actors import Actor
from fleet.errors import NotAllowed
from fleet.models import Agent
from schedules.engine import slots
from schedules.engine.clock import database_now
from schedules.models import Run, Schedule
from tests.run_context import FakeContext
from tests.s3_servers import keys_of

CASES = Path(__file__).parents[1] / "cases"


def back_up(context: FakeContext, watch: SimpleNamespace, **payload: Any) -> Backup:
    payload = {"to": str(watch.backup_root), "if_unchanged": "archive", **payload}
    result = WorkspaceBackup().execute(WorkspaceBackupPayload(**payload), context)
    return Backup.objects.get(pk=result.details["backup"])


def path_of(backup: Backup) -> Path:
    return Path(backup.root) / backup.prefix / backup.name


def test_listing_and_showing(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    assert "Make one: manage.py backup create" in manage("backup", "ls").err
    backup = back_up(context, watch)
    (line,) = (line for line in manage("backup", "ls").out.splitlines() if backup.name in line)
    assert "verified" in line
    assert "lead" in line
    (told,) = manage("backup", "ls", "--agent", "lead", "--json").json
    assert (told["id"], told["state"], told["entries"]) == (backup.pk, "verified", 10)
    shown = manage("backup", "show", "latest", "--agent", "lead").out
    assert f"sha256              {backup.sha256}" in shown
    assert "kept by             the last 5" in shown
    files = manage("backup", "show", str(backup.pk), "--files").out
    assert "0750            18  workspace/run-again.sh" in files
    assert "workspace/bin/python -> /usr/bin/python3" in files
    assert len(manage("backup", "show", backup.name, "--files", "--json").json) == 10
    for wrong, text in (("99", "no backup '99'"), ("latest", "no verified backup of lead")):
        Backup.objects.filter(pk=backup.pk).update(state="damaged")
        answer = manage("backup", "show", wrong, "--agent", "lead")
        assert answer.code == 1
        assert text in answer.err
    assert "There is no agent named 'leed'" in manage("backup", "ls", "--agent", "leed").err


def test_files_of_an_archive_in_s3_are_read_from_its_end(
    watch: SimpleNamespace, context: FakeContext, manage: Any, rclone_s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.s3 = rclone_s3
    backup = back_up(context, watch, to="s3")

    def never(*_: object, **__: object) -> None:
        pytest.fail("all of it was read")

    monkeypatch.setattr("backups.archive.contents._by_reading", never)
    assert "workspace/run.sh" in manage("backup", "show", str(backup.pk), "--files").out


def test_verifying(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    good, bad = back_up(context, watch), back_up(context, watch)
    assert f"whole    {good.name}: 10 entries" in manage("backup", "verify", str(good.pk)).out
    path_of(bad).write_bytes(path_of(bad).read_bytes()[:-60])
    answer = manage("backup", "verify", "--agent", "lead")
    assert answer.code == 1
    assert f"DAMAGED  {bad.name}: The archive is cut" in answer.out
    bad.refresh_from_db()
    assert bad.state == "damaged"
    copy = path_of(good).rename(Path(watch.backup_root) / "renamed by somebody.tar.gz")
    answer = manage("backup", "verify", "--file", str(copy), "--json")
    assert (answer.code, answer.json[0]["whole"], answer.json[0]["entries"]) == (0, True, 10)
    assert manage("backup", "verify").code == 2
    assert "There is no file" in manage("backup", "verify", "--file", "/nowhere").err


def test_restoring_from_a_file_needs_no_record(
    watch: SimpleNamespace, context: FakeContext, manage: Any, tmp_path: Path
) -> None:
    backup = back_up(context, watch)
    archive, target = path_of(backup), tmp_path / "back"
    Backup.objects.all().delete()
    answer = manage("backup", "restore", "--file", str(archive), "--to", str(target))
    assert answer.code == 0, answer.err
    assert f"Restored {archive.name} to {target}: 10 entries" in answer.out
    assert (target / "run.sh").read_text().startswith("#!/bin/sh")
    refused = manage("backup", "restore", "--file", str(archive), "--to", str(target))
    assert refused.code == 1
    assert "is not empty, so nothing was restored" in refused.err
    again = manage("backup", "restore", "--file", str(archive), "--to", str(target), "--force", "--path", "run.sh")
    assert "What was there before is kept in" in again.err
    assert manage("backup", "restore", "--file", str(archive)).code == 2
    (archive.parent / f"{archive.name}.sha256").unlink()
    alone = manage("backup", "restore", "--file", str(archive), "--to", str(tmp_path / "alone"))
    assert "There is no" in alone.err
    wrong = manage("backup", "restore", "--file", str(archive), "--to", str(tmp_path / "x"), "--chown", "me")
    assert (wrong.code, "1000:1000" in wrong.err) == (2, True)


def test_an_encrypted_file_and_its_identity(
    watch: SimpleNamespace, context: FakeContext, manage: Any, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    watch.backup_identity = str(identity)
    archive = path_of(back_up(context, watch, recipient=str(identity.to_public())))
    watch.backup_identity = ""
    blind = manage("backup", "restore", "--file", str(archive), "--to", str(tmp_path / "back"))
    assert blind.code == 2
    assert "name the file of its identity with --identity" in blind.err
    (tmp_path / "key").write_text(f"# created by age-keygen\n{identity}\n")
    seen = manage(
        "backup", "restore", "--file", str(archive), "--to", str(tmp_path / "back"), "--identity", str(tmp_path / "key")
    )
    assert seen.code == 0, seen.err
    assert (tmp_path / "back" / "run.sh").exists()


def test_what_a_prune_would_do(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    backups = [back_up(context, watch, keep={"days": 30}) for _ in range(3)]
    for number, backup in enumerate(backups):
        moment = database_now() - timedelta(days=40 + number)
        Backup.objects.filter(pk=backup.pk).update(began_at=moment, still_at=moment)
    plan = manage("backup", "prune", "--dry-run", "--json").json
    assert [(each["id"], each["keep"]) for each in plan] == [
        (backups[0].pk, True),
        (backups[1].pk, False),
        (backups[2].pk, False),
    ]
    assert plan[0]["why"] == ["the last good one"]
    assert "not among those of 30 days" in manage("backup", "prune", "--dry-run").out
    assert Backup.objects.there().count() == 3
    assert manage("backup", "prune").code == 1
    assert manage("backup", "prune", "--yes").out.count("Removed") == 2
    assert [path_of(backup).exists() for backup in backups] == [True, False, False]
    assert "Nothing goes" in manage("backup", "prune").err


def test_the_report(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    Agent.objects.create(organisation=Agent.objects.get().organisation, slug="forgotten")
    answer = manage("backup", "report", "--json")
    assert answer.code == 1
    assert [(line["agent"], line["problems"]) for line in answer.json] == [
        ("forgotten", ["no verified backup", "a restore was never tried"]),
        ("lead", ["no verified backup", "a restore was never tried"]),
    ]
    backup = back_up(context, watch)
    RestoreDrill().execute(DrillPayload(), context)
    (line,) = manage("backup", "report", "--agent", "lead", "--json").json
    assert (line["verified"], line["drilled"], line["problems"]) == (backup.pk, backup.pk, [])
    assert line["rpo_target_seconds"] == 26 * 3600
    assert manage("backup", "report", "--agent", "lead").code == 0
    assert manage("backup", "target", "lead", "--rpo", "1h", "--rto", "5m").out == "lead: RPO 1 h, RTO 5 min\n"
    Backup.objects.update(still_at=database_now() - timedelta(hours=2))
    told = manage("backup", "report", "--agent", "lead")
    assert told.code == 1
    assert "the newest verified backup is too old" in told.out
    assert "give a span such as 26h" in manage("backup", "target", "lead", "--rpo", "soon", "--rto", "5m").err


def test_the_report_has_a_line_for_whatever_a_job_archives(
    watch: SimpleNamespace, context: FakeContext, manage: Any
) -> None:
    """One that is fresh must not hide another that is stale."""
    workspace = context.agent.workspace_folder

    def of(schedule: str, source: str) -> Backup:
        context.schedule = schedule
        return back_up(context, watch, source=source, to=str(watch.backup_root / (schedule or "hand")))

    stale, _ = of("state", context.agent.state_folder), of("nightly", workspace)
    of("", f"{workspace}/notes")
    Backup.objects.filter(pk=stale.pk).update(still_at=database_now() - timedelta(days=3))
    lines = manage("backup", "report", "--agent", "lead", "--json").json
    assert [line["source"] for line in lines] == sorted([context.agent.state_folder, workspace])
    problems = {line["source"]: line["problems"][0] for line in lines}
    assert problems[context.agent.state_folder] == "the newest verified backup is too old"
    assert problems[workspace] == "a restore was never tried"


def test_what_differs(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    workspace = Path(context.agent.workspace_folder)
    one = back_up(context, watch)
    assert manage("backup", "diff", str(one.pk)).code == 0
    (workspace / "new").touch()
    (workspace / "zero").unlink()
    (workspace / "notes/今日.md").write_text("x")
    (workspace / "bin").chmod(0o700)
    now = manage("backup", "diff", str(one.pk))
    assert (now.code, now.out.splitlines()) == (
        1,
        [
            "mode     workspace/bin",
            "added    workspace/new",
            "changed  workspace/notes/今日.md",
            "removed  workspace/zero",
        ],
    )
    two = back_up(context, watch)
    assert manage("backup", "diff", str(one.pk), str(two.pk)).out == now.out
    assert len(manage("backup", "diff", str(two.pk), str(one.pk), "--json").json) == 4


def test_runs_are_asked_for(
    watch: SimpleNamespace, context: FakeContext, manage: Any, redis: redis_client.Redis
) -> None:
    slots.rebuild()
    backup = back_up(context, watch)
    asked = [
        (("create", "--agent", "lead", "--keep", "daily=7,weekly=4", "--force"), "workspace.backup"),
        (("create", "--agent", "lead", "--kind", "database", "--to", "hot"), "database.backup"),
        (("restore", str(backup.pk), "--yes", "--path", "run.sh", "--chown", "1000:1000"), "workspace.restore"),
        (("drill", str(backup.pk)), "restore.drill"),
    ]
    for arguments, executor in asked:
        answer = manage("backup", *arguments, "--no-wait")
        assert answer.code == 0, answer.err
        run = Run.objects.get(job_run_id=answer.out.strip())
        assert (run.executor, run.agent.slug) == (executor, "lead")
        run.delete()
    for arguments, text in (
        (("create", "--agent", "lead", "--keep", "many"), "such as daily=7"),
        (("create", "--agent", "lead", "--keep", "yearly=7"), "yearly"),
        (("create", "--agent", "lead", "--to", "/etc"), "folder below"),
        (("create", "--agent", "lead", "--kind", "database", "--container"), "not out of a container"),
        (("restore",), "Which backup?"),
        (("restore", "latest"), "Whose latest"),
        (("drill",), "Whose backup?"),
        (("drill", str(backup.pk), "--probe", "true"), "JSON list"),
    ):
        answer = manage("backup", *arguments, "--no-wait")
        assert answer.code == 2, answer
        assert text in answer.err
    assert not Run.objects.exists()


def test_what_is_asked_for_is_told_to_a_machine(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    backup = back_up(context, watch)
    for arguments in (
        ("create", "--agent", "lead", "--to", "hot"),
        ("restore", str(backup.pk), "--yes"),
        ("drill", str(backup.pk)),
    ):
        told = manage("backup", *arguments, "--no-wait", "--json").json
        run = Run.objects.get(job_run_id=told["run"])
        assert told == {"run": run.job_run_id, "status": "queued", "error": "", "result": {}}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("create", "--agent", "lead", "--recipient", ""), "recipient"),
        (("create", "--agent", "lead", "--keep", ""), "--keep is ''"),
        (("create", "--agent", "lead", "--to", ""), "to is ''"),
        (("adopt", "--agent", "lead", "--prefix", ""), "--prefix is empty"),
        (("verify", "--file", "/"), "/ is no file, but a folder or a device"),
    ],
)  # fmt: skip
def test_an_empty_value_is_a_variable_that_was_not_set(
    arguments: tuple[str, ...], text: str, context: FakeContext, manage: Any
) -> None:
    answer = manage("backup", *arguments)
    assert answer.code == 2, answer
    assert text in answer.err


def test_the_latest_that_waits_to_be_read_is_named(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    backup = back_up(context, watch, verify=False)
    told = manage("backup", "restore", "latest", "--agent", "lead", "--yes").err
    assert f"{backup.name} was not read back yet: manage.py backup verify {backup.pk}." in told


def test_the_nightly_job_of_seed_002_comes_ready_made(context: FakeContext, manage: Any) -> None:
    made = manage("backup", "nightly", "--agent", "lead", "--to", "hot")
    assert (made.code, made.out.strip()) == (0, "lead-nightly-database-backup")
    job = Schedule.objects.get()
    assert (job.expression, job.executor, job.payload) == ("0 2 * * *", "database.backup", {"to": "hot"})
    assert job.agent is not None
    assert job.agent.slug == "lead"
    assert "Every day at 02:00" in made.err
    assert "lead-nightly-database-backup" in manage("backup", "nightly", "--agent", "lead").err
    weekly = manage("backup", "nightly", "--agent", "lead", "--kind", "workspace", "--keep", "daily=7", "--to", "hot")
    assert weekly.code == 0
    assert "kinds are" in manage("backup", "ls", "--kind", "workspaces").err


def test_confirm_and_undo(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    workspace = Path(context.agent.workspace_folder)
    back_up(context, watch)
    (workspace / "new").touch()
    WorkspaceRestore().execute(RestorePayload(), context)
    row = Restore.objects.get()
    assert manage("backup", "undo", str(row.pk)).code == 1
    asked = manage("backup", "undo", str(row.pk), "--yes", "--no-wait")
    assert (asked.code, Run.objects.get().executor) == (0, "restore.undo")
    assert manage("backup", "undo", str(row.pk), "--yes", "--now").code == 0
    assert (workspace / "new").exists()
    assert "settled already" in manage("backup", "confirm", str(row.pk)).err
    assert "There is no restore 99" in manage("backup", "confirm", "99").err


# -- archives that others made


def made_by_seed_002(data: Path, folder: Path) -> Path:
    """As its ``backup.sh`` makes them, with the paths that tar then has."""
    folder.mkdir(parents=True)
    stamp = "20250115_020000"
    copies = [folder / f"agentx-{stamp}.db", folder / f"portagent-{stamp}.db"]
    for copy, name in zip(copies, ("agentx.db", "portagent.db"), strict=True):
        shutil.copy(data / name, copy)
    archive = folder / f"backup-{stamp}.tar.gz"
    subprocess.run(["tar", "-czf", archive, *copies], check=True, capture_output=True)
    for copy in copies:
        copy.unlink()
    return archive


def test_what_seed_002_made_is_adopted_verified_and_restored(
    watch: SimpleNamespace, context: FakeContext, manage: Any, tmp_path: Path
) -> None:
    from backups.executors.database_restore import DatabaseRestore

    data = Path(context.agent.state_folder) / "data"
    shutil.copytree(CASES / "portagent-1.9.0" / "data", data)
    folder = tmp_path / "var" / "backups" / "portagent"
    archive = made_by_seed_002(data, folder)
    answer = manage("backup", "adopt", "--agent", "lead", "--folder", str(folder))
    assert archive.name in answer.out
    backup = Backup.objects.get()
    assert (backup.kind, backup.state, backup.is_adopted, backup.retention) == (
        "database",
        "complete",
        True,
        {"days": 30},
    )
    assert backup.began_at.isoformat() == "2025-01-15T02:00:00+00:00"
    assert "Nothing new lies in" in manage("backup", "adopt", "--agent", "lead", "--folder", str(folder)).err
    assert manage("backup", "verify", "--agent", "lead").code == 0
    backup.refresh_from_db()
    assert (backup.state, backup.has_manifest, backup.entries) == ("verified", False, 2)
    assert backup.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert RestoreDrill().execute(DrillPayload(), context).details["entries"] == 2
    before = (data / "portagent.db").read_bytes()
    (data / "portagent.db").write_bytes(b"damaged")
    DatabaseRestore().execute(RestorePayload(), context)
    assert (data / "portagent.db").read_bytes() == before


def test_what_the_s3_command_made_is_adopted_again_and_again(
    watch: SimpleNamespace, context: FakeContext, manage: Any, rclone_s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.archive.backup import Contents, make_archive
    from backups.archive.folder import open_folder, pack_folder
    from backups.archive.s3store import S3Store

    watch.s3 = rclone_s3
    workspace = Path(context.agent.workspace_folder)

    def s3_backup() -> str:
        contents = Contents(pack=lambda writer: pack_folder(open_folder(workspace), writer).value)
        return make_archive(S3Store(rclone_s3, "workspace/lead"), contents).name

    first = s3_backup()
    assert first in manage("backup", "adopt", "--agent", "lead").out
    second = s3_backup()
    assert adopted_again() == 0, "it may still be being written"
    monkeypatch.setattr("backups.services.adoption._STILL", timedelta(0))
    assert adopted_again() == 1
    for backup in Backup.objects.all():
        backup_verify(backup=backup)
    assert {(backup.name, backup.state, backup.has_manifest) for backup in Backup.objects.all()} == {
        (first, "verified", True),
        (second, "verified", True),
    }
    assert len(keys_of(rclone_s3)) == 4


def test_a_tenant_can_say_of_no_place_that_it_is_his(watch: SimpleNamespace, context: FakeContext) -> None:
    from backups.places import Place

    tenant = Actor(kind="user", label="mallory")
    place = Place(storage="folder", root="/srv", prefix="")
    with pytest.raises(NotAllowed, match="Only the operator"):
        archives_adopt(agent=Agent.objects.get(), place=place, actor=tenant)


def test_databases_are_shown_under_their_names(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    shutil.copytree(CASES / "portagent-1.9.0" / "data", Path(context.agent.state_folder) / "data")
    DatabaseBackup().execute(DatabaseBackupPayload(to=str(watch.backup_root)), context)
    backup = Backup.objects.get()
    stamp = backup.name.removeprefix("backup-").removesuffix(".tar.gz")
    assert f"agentx-{stamp}.db" in manage("backup", "show", str(backup.pk), "--files").out


def test_names_that_an_agent_chose_steer_no_terminal(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    (Path(context.agent.workspace_folder) / "\x1b[31mred\nworkspace/fake").mkdir(parents=True)
    backup = back_up(context, watch)
    out = manage("backup", "show", str(backup.pk), "--files").out
    assert "\x1b" not in out
    assert "\nworkspace/fake" not in out


def test_an_archive_that_unpacks_to_far_more_is_refused_not_called_damaged(
    watch: SimpleNamespace, context: FakeContext, manage: Any, tmp_path: Path
) -> None:
    """Zeros that are no holes, as a preallocated log has them."""
    (Path(context.agent.workspace_folder) / "zeros").write_bytes(bytes(100_000_000))
    archive = path_of(back_up(context, watch))
    seen = manage("backup", "verify", "--file", str(archive))
    assert seen.code == 1
    assert seen.out.startswith("REFUSED")
    assert "--trust-size" in seen.out
    assert manage("backup", "verify", "--file", str(archive), "--trust-size").code == 0
    to = ("--to", str(tmp_path / "back"))
    assert "--trust-size" in manage("backup", "restore", "--file", str(archive), *to).err
    assert manage("backup", "restore", "--file", str(archive), *to, "--trust-size").code == 0


def test_what_excludes_each_other_is_said(watch: SimpleNamespace, context: FakeContext, manage: Any) -> None:
    backup = back_up(context, watch)
    file = ("--file", str(path_of(backup)))
    for arguments in (
        ("restore", str(backup.pk), *file, "--to", "/nowhere"),
        ("verify", "--agent", "lead", *file),
        ("adopt", "--agent", "lead", "--prefix", "x", "--folder", "/var"),
        ("drill", str(backup.pk), "--image", "x", "--no-wait"),
    ):
        assert manage("backup", *arguments).code == 2, arguments
