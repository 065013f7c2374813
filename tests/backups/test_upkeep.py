"""What is done for archives when nobody asks."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backups.archive.folderstore import FolderStore
from backups.archive.settings import S3Settings
from backups.executors.workspace_backup import WorkspaceBackup, WorkspaceBackupPayload
from backups.models import Backup
from backups.retention.tiers import Cold, Hot, Move, Tiers, Warm
from backups.services import upkeep
from backups.services.pruning import copy_of, strays_remove
from backups.services.states import backup_damaged
from backups.services.verification import backup_verify
from config.celery import app
from fleet.errors import InvalidInput
from fleet.models import AuditEntry
from monitoring.models import Alert
from schedules.engine.clock import database_now
from schedules.services.housekeeping import Budget
from tests.run_context import FakeContext
from tests.s3_servers import client_of, keys_of, uploads_left


def back_up(context: FakeContext, watch: SimpleNamespace, **payload: Any) -> Backup:
    payload = {"to": str(watch.backup_root), "if_unchanged": "archive", **payload}
    result = WorkspaceBackup().execute(WorkspaceBackupPayload(**payload), context)
    return Backup.objects.get(pk=result.details["backup"])


def aged(backup: Backup, *, days: float = 0) -> Backup:
    moment = database_now() - timedelta(days=days)
    Backup.objects.filter(pk=backup.pk).update(began_at=moment, still_at=moment, checked_at=moment, tried_at=moment)
    backup.refresh_from_db()
    return backup


def path_of(backup: Backup) -> Path:
    backup.refresh_from_db()
    return Path(backup.root) / backup.prefix / backup.name


def budget() -> Budget:
    return Budget(minutes=1)


def test_the_longest_unseen_are_read_again(watch: SimpleNamespace, context: FakeContext) -> None:
    old, older, new = (aged(back_up(context, watch), days=days) for days in (10, 20, 1))
    content = path_of(older).read_bytes()
    path_of(older).write_bytes(content[:-50])
    assert upkeep.backups_recheck(days=7, megabytes=100, budget=budget()) == {
        "verified": 1,
        "damaged": 1,
        "not reached": 0,
    }
    for backup in (old, older, new):
        backup.refresh_from_db()
    assert (old.state, older.state) == ("verified", "damaged")
    assert new.checked_at < database_now() - timedelta(hours=20)
    assert Alert.objects.filter(key=f"backup.damaged:{older.pk}", resolved_at=None).exists()
    path_of(older).write_bytes(content)
    aged(older, days=8)
    upkeep.backups_recheck(days=7, megabytes=100, budget=budget())
    older.refresh_from_db()
    assert older.state == "verified"
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_so_many_bytes_a_time_and_one_archive_at_least(watch: SimpleNamespace, context: FakeContext) -> None:
    for days in (10, 20, 30):
        aged(back_up(context, watch), days=days)
    Backup.objects.update(size=5 * 1024**2)
    assert upkeep.backups_recheck(days=7, megabytes=6, budget=budget())["verified"] == 2
    assert upkeep.backups_recheck(days=7, megabytes=1, budget=budget())["verified"] == 1


def test_an_archive_that_is_gone_is_damaged_and_a_store_that_is_away_is_no_proof(
    watch: SimpleNamespace, context: FakeContext, rclone_s3: S3Settings
) -> None:
    gone = aged(back_up(context, watch), days=10)
    path_of(gone).unlink()
    watch.s3 = rclone_s3
    away = aged(back_up(context, watch, to="s3"), days=10)
    watch.s3 = S3Settings(endpoint_url="http://127.0.0.1:1", access_key_id="a", secret_access_key="b")
    assert upkeep.backups_recheck(days=7, megabytes=100, budget=budget()) == {
        "verified": 0,
        "damaged": 1,
        "not reached": 1,
    }
    gone.refresh_from_db()
    away.refresh_from_db()
    assert (gone.state, away.state) == ("damaged", "verified")


@pytest.fixture
def tiers(watch: SimpleNamespace, tmp_path: Path) -> Tiers:
    watch.backup_tiers = Tiers(hot=Hot(path=str(tmp_path / "hot")), warm=Warm(path=str(tmp_path / "warm")))
    made: Tiers = watch.backup_tiers
    return made


def test_from_hot_to_warm_and_out_but_for_the_last_good_one(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers, tmp_path: Path
) -> None:
    first, second = (back_up(context, watch, to="hot") for _ in range(2))
    assert upkeep.tiers_tidy(budget=budget()) == {"moved": 0, "removed": 0, "failed": 0}
    aged(first, days=3)
    aged(second, days=2)
    assert upkeep.tiers_tidy(budget=budget()) == {"moved": 2, "removed": 0, "failed": 0}
    for backup in (first, second):
        assert path_of(backup).is_relative_to(tmp_path / "warm")
        assert path_of(backup).exists()
        assert backup.tier == "warm"
    assert FolderStore(tmp_path / "hot/workspace/acme/lead").archives() == []
    aged(first, days=30)
    aged(second, days=20)
    assert upkeep.tiers_tidy(budget=budget())["removed"] == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("deleted", "verified")
    assert first.deleted_why == "warm: older than 7 days"
    assert AuditEntry.objects.filter(action="backup.delete").count() == 1


def test_on_to_the_cold_tier(watch: SimpleNamespace, context: FakeContext, tiers: Tiers, rclone_s3: S3Settings) -> None:
    watch.s3 = rclone_s3
    watch.backup_tiers = Tiers(hot=tiers.hot, warm=tiers.warm, cold=Cold(enabled=True))
    backup = aged(back_up(context, watch, to="hot"), days=9)
    upkeep.tiers_tidy(budget=budget())
    upkeep.tiers_tidy(budget=budget())
    backup.refresh_from_db()
    assert (backup.tier, backup.storage, backup.root) == ("cold", "s3", rclone_s3.bucket)
    assert f"workspace/acme/lead/{backup.name}" in keys_of(rclone_s3)
    aged(backup, days=10)
    assert upkeep.backups_recheck(days=7, megabytes=100, budget=budget())["verified"] == 1


def test_one_that_is_damaged_stays_where_it_is_and_the_others_go_on(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers
) -> None:
    bad, good = (aged(back_up(context, watch, to="hot"), days=days) for days in (3, 2))
    path_of(bad).write_bytes(b"not what was stored")
    assert upkeep.tiers_tidy(budget=budget()) == {"moved": 1, "removed": 0, "failed": 1}
    assert path_of(bad).exists()
    assert path_of(good).exists()
    assert good.tier == "warm"


def test_a_damaged_one_goes_in_its_time_where_a_good_one_is_and_stays_where_none_is(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers
) -> None:
    bad, good = (aged(back_up(context, watch, to="hot"), days=days) for days in (3, 0))
    Backup.objects.filter(pk=bad.pk).update(state="damaged")
    Backup.objects.filter(pk=good.pk).update(state="damaged")
    assert upkeep.tiers_tidy(budget=budget()) == {"moved": 0, "removed": 0, "failed": 0}
    Backup.objects.filter(pk=good.pk).update(state="verified")
    assert upkeep.tiers_tidy(budget=budget()) == {"moved": 0, "removed": 1, "failed": 0}
    bad.refresh_from_db()
    assert bad.deleted_why == "hot: older than 24 hours"


def test_a_damaged_one_that_is_younger_than_every_good_one_stays(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers
) -> None:
    """It may hold what no other one does."""
    aged(back_up(context, watch, to="hot"), days=5)
    youngest = aged(back_up(context, watch, to="hot"), days=2)
    Backup.objects.filter(pk=youngest.pk).update(state="damaged")
    upkeep.tiers_tidy(budget=budget())
    youngest.refresh_from_db()
    assert youngest.state == "damaged"


def test_a_move_that_was_cut_off_is_finished_wherever_it_was(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers, tmp_path: Path
) -> None:
    copied, recorded = (aged(back_up(context, watch, to="hot"), days=days) for days in (3, 2))
    folder = tmp_path / "warm/workspace/acme/lead"
    folder.mkdir(parents=True)
    for backup in (copied, recorded):
        for path in path_of(backup).parent.glob(f"{backup.name}*"):
            shutil.copy2(path, folder / path.name)
    Backup.objects.filter(pk=recorded.pk).update(tier="warm", root=str(tmp_path / "warm"))
    assert upkeep.tiers_tidy(budget=budget()) == {"moved": 1, "removed": 0, "failed": 0}
    assert FolderStore(tmp_path / "hot/workspace/acme/lead").archives() == []
    for backup in (copied, recorded):
        assert path_of(backup).is_relative_to(folder)
        assert path_of(backup).exists()


def test_an_archive_that_moves_while_it_is_read_again_is_not_called_damaged(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers
) -> None:
    stale = aged(back_up(context, watch, to="hot"), days=2)
    upkeep.tiers_tidy(budget=budget())
    assert backup_verify(backup=stale).problem == ""
    stale.refresh_from_db()
    assert (stale.state, stale.tier) == ("verified", "warm")


def test_what_is_said_of_a_place_is_not_held_against_another(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers
) -> None:
    """A restore that began before the archive was carried on finds nothing where it looks."""
    stale = aged(back_up(context, watch, to="hot"), days=2)
    upkeep.tiers_tidy(budget=budget())
    assert not backup_damaged(backup=stale, problem="It is not there.")
    stale.refresh_from_db()
    assert stale.state == "verified"
    assert backup_damaged(backup=stale, problem="It is not there.")


def test_what_is_made_by_hand_is_counted_by_its_place(watch: SimpleNamespace, context: FakeContext) -> None:
    """One of them with ``keep`` 1 must not remove those that somebody made elsewhere."""
    context.schedule = ""
    elsewhere = [back_up(context, watch, to=str(watch.backup_root / "elsewhere")) for _ in range(2)]
    former, last = (back_up(context, watch, keep=1) for _ in range(2))
    assert [path_of(backup).exists() for backup in (*elsewhere, former, last)] == [True, True, False, True]
    context.schedule = "nightly"
    moved = [back_up(context, watch, to=str(watch.backup_root / folder), keep=1) for folder in ("one", "other")]
    assert [path_of(backup).exists() for backup in moved] == [False, True], "a job's are counted wherever they are"


def test_a_folder_of_a_container_is_no_folder_of_this_host(watch: SimpleNamespace, context: FakeContext) -> None:
    context.schedule = ""
    ours = back_up(context, watch)
    inside = back_up(context, watch)
    Backup.objects.filter(pk=inside.pk).update(in_container=True)
    inside.refresh_from_db()
    assert list(Backup.objects.siblings(inside)) == [inside]
    assert list(Backup.objects.siblings(ours)) == [ours]


def test_an_age_goes_on_when_the_backups_have_stopped(watch: SimpleNamespace, context: FakeContext) -> None:
    rules = {"days": 30}
    last, former = back_up(context, watch, keep=rules), back_up(context, watch, keep=rules)
    aged(last, days=40)
    aged(former, days=50)
    assert upkeep.backups_expire(budget=budget()) == {"removed": 1}
    former.refresh_from_db()
    last.refresh_from_db()
    assert (last.state, former.state) == ("verified", "deleted")


def test_what_a_crash_left_is_removed(watch: SimpleNamespace, context: FakeContext, rclone_s3: S3Settings) -> None:
    watch.s3 = rclone_s3
    backup = back_up(context, watch)
    Backup.objects.filter(pk=backup.pk).update(state="deleted", deleted_at=database_now())
    assert strays_remove() == 1
    assert not path_of(backup).exists()
    backup.refresh_from_db()
    assert backup.removed_at is not None, "nobody looks for it again"
    key = "workspace/acme/lead/workspace_20260101_000000.tar.gz"
    client_of(rclone_s3).create_multipart_upload(Bucket=rclone_s3.bucket, Key=key)
    assert upkeep.rests_remove(hours=1) == {"uploads": 0, "archives": 0, "former trees": 0}
    assert uploads_left(rclone_s3) == [key]
    assert upkeep.rests_remove(hours=0)["uploads"] == 1


def test_each_entry_of_the_housekeeping_names_a_task_and_what_it_takes(transactional_db: None) -> None:
    app.loader.import_default_modules()
    entries = [entry for entry in app.conf.beat_schedule.values() if "prune" not in entry["task"]]
    assert len(entries) == 5
    for entry in entries:
        assert isinstance(app.tasks[entry["task"]](**entry["kwargs"]), dict)
    with pytest.raises(InvalidInput, match="megabytes must be"):
        app.tasks["housekeeping.recheck_backups"](megabytes=0)


def test_two_that_move_one_archive_leave_it_where_its_record_says(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers
) -> None:
    backup = aged(back_up(context, watch, to="hot"), days=2)
    stale = Backup.objects.get(pk=backup.pk)
    for each in (backup, stale):
        upkeep.tier_move(backup=each, move=_move(each), actor=upkeep.ACTOR)
    assert path_of(backup).exists()
    assert backup.tier == "warm"


def _move(backup: Backup) -> Move:
    return Move(copy=copy_of(backup), of="hot", to="warm", why="test")


def test_a_checksum_alone_is_no_archive(
    watch: SimpleNamespace, context: FakeContext, tiers: Tiers, tmp_path: Path
) -> None:
    """It is published first: a move that was cut off in between left it, and an unfinished copy that nobody writes."""
    backup = aged(back_up(context, watch, to="hot"), days=2)
    folder = tmp_path / "warm" / backup.prefix
    folder.mkdir(parents=True)
    (folder / f"{backup.name}.sha256").write_text(f"{backup.sha256}  {backup.name}\n")
    (folder / f".{backup.name}.part").write_bytes(b"half of it")
    assert upkeep.tiers_tidy(budget=budget())["moved"] == 1
    assert path_of(backup).stat().st_size == backup.size
    assert backup_verify(backup=backup).problem == ""


def test_one_archive_that_fails_in_a_way_of_its_own_stops_no_other(
    watch: SimpleNamespace, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, good = (aged(back_up(context, watch), days=days) for days in (20, 10))

    def fails(*, backup: Backup, hooks: Any) -> Any:
        if backup == odd:
            raise RecursionError
        return backup_verify(backup=backup, hooks=hooks)

    monkeypatch.setattr(upkeep, "backup_verify", fails)
    assert upkeep.backups_recheck(days=7, megabytes=100, budget=budget()) == {
        "verified": 1,
        "damaged": 0,
        "not reached": 1,
    }
    odd.refresh_from_db()
    assert odd.tried_at > good.began_at


def test_a_folder_that_is_not_mounted_damages_nothing(watch: SimpleNamespace, context: FakeContext) -> None:
    backup = aged(back_up(context, watch), days=10)
    watch.backup_root.rename(watch.backup_root.with_name("away"))
    assert upkeep.backups_recheck(days=7, megabytes=100, budget=budget())["not reached"] == 1
    backup.refresh_from_db()
    assert backup.state == "verified"
