"""``restore.drill``: what it proves, and who hears of it when it does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backups.executors.database_backup import DatabaseBackup, DatabaseBackupPayload
from backups.executors.restore_drill import DrillPayload, RestoreDrill
from backups.executors.workspace_backup import WorkspaceBackup, WorkspaceBackupPayload
from backups.models import Backup, Drill
from monitoring.models import Alert
from schedules.executors.base import ExecutorError, Result
from tests.docker_engine import Engine
from tests.run_context import FakeContext

CASES = Path(__file__).parents[1] / "cases"


def back_up(context: FakeContext, watch: SimpleNamespace, **payload: Any) -> Backup:
    payload = {"to": str(watch.backup_root), "if_unchanged": "archive", **payload}
    result = WorkspaceBackup().execute(WorkspaceBackupPayload(**payload), context)
    return Backup.objects.get(pk=result.details["backup"])


def drill(context: FakeContext, **payload: Any) -> Result:
    return RestoreDrill().execute(DrillPayload(**payload), context)


def test_it_restores_checks_and_times(watch: SimpleNamespace, context: FakeContext) -> None:
    backup = back_up(context, watch)
    result = drill(context)
    assert result.summary.startswith(f"[Drill] {backup.name} was restored and checked in ")
    assert result.details["entries"] == 10
    backup.refresh_from_db()
    assert backup.drilled_at is not None
    found = Drill.objects.get()
    assert (found.is_ok, found.backup, found.checks["manifest"]) == (True, backup, True)
    assert 0 < found.seconds < 60
    assert list((Path(watch.data_dir) / "scratch").iterdir()) == []


def test_databases_are_looked_into(watch: SimpleNamespace, context: FakeContext) -> None:
    data = Path(context.agent.state_folder) / "data"
    shutil.copytree(CASES / "portagent-1.9.0" / "data", data)
    DatabaseBackup().execute(DatabaseBackupPayload(to=str(watch.backup_root)), context)
    assert drill(context, kind="database").details["databases"] == "checked"


def test_a_workspace_with_a_damaged_database_is_no_good_backup(watch: SimpleNamespace, context: FakeContext) -> None:
    """Its hashes are right: it was damaged when it was archived."""
    content = bytearray((CASES / "portagent-1.9.0" / "data" / "agentx.db").read_bytes())
    content[4096:8192] = b"\xff" * 4096
    Path(context.agent.workspace_folder, "agentx.db").write_bytes(content)
    backup = back_up(context, watch)
    assert backup.state == "verified"
    with pytest.raises(ExecutorError, match=r"agentx\.db is damaged") as caught:
        drill(context)
    assert caught.value.code == "drill_failed"
    backup.refresh_from_db()
    assert (backup.state, backup.drilled_at) == ("damaged", None)


def test_a_drill_that_fails_is_told_and_one_that_works_ends_the_alarm(
    watch: SimpleNamespace, context: FakeContext
) -> None:
    backup = back_up(context, watch)
    path = Path(backup.root) / backup.prefix / backup.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ExecutorError, match="damaged"):
        drill(context)
    assert Drill.objects.get().is_ok is False
    assert Alert.objects.filter(key="drill.failed:lead:workspace", resolved_at=None).exists()
    backup.refresh_from_db()
    assert backup.state == "damaged"
    with pytest.raises(ExecutorError, match="no verified"):
        drill(context)
    back_up(context, watch)
    drill(context, which="random")
    assert not Alert.objects.filter(key="drill.failed:lead:workspace", resolved_at=None).exists()


def test_payloads(context: FakeContext) -> None:
    with pytest.raises(ValueError, match="needs both"):
        RestoreDrill().check_payload(DrillPayload(probe=("true",)), agent=None)


@pytest.mark.docker
def test_a_probe_in_a_throw_away_container(
    watch: SimpleNamespace, context: FakeContext, docker_engine: Engine, toy_container: Any
) -> None:
    toy_container()  # its image is on the engine then
    watch.docker_host = docker_engine.base_url
    back_up(context, watch)
    image = "watchbill-toy:1"
    with pytest.raises(ExecutorError, match="'watchbill-toy:1' is neither") as caught:
        drill(context, probe=("true",), image=image)
    assert not caught.value.retryable
    watch.probe_images = (image, "nothing:here")
    seen = drill(context, probe=("sh", "-c", "cat /restored/run.sh && touch /restored/x"), image=image)
    assert seen.details["probe"] == 0
    assert "echo hi" in context.text("stdout")
    for probe, text in ((("false",), "ended with 1"), (("sleep", "60"), "did not end in its time")):
        with pytest.raises(ExecutorError, match=text):
            drill(context, probe=probe, image=image, probe_seconds=1)
    with pytest.raises(ExecutorError, match="no image 'nothing:here'"):
        drill(context, probe=("true",), image="nothing:here")
    RestoreDrill().reap(context.handles[-1], context)
    names = [name for found in docker_engine.api.containers(all=True) for name in found["Names"]]
    assert not [name for name in names if "drill" in name]
