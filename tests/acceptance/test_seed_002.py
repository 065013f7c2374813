"""Seed 002 as a story: Portagent's databases are backed up while it writes, damaged, and brought back.

Real beat and worker, a real container that writes, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Watch, watching

pytestmark = pytest.mark.docker

CASES = Path(__file__).parents[1] / "cases" / "portagent-1.9.0" / "data"
WRITER = """
import sqlite3, time
connection = sqlite3.connect("/workspace/data/agentx.db", isolation_level=None, timeout=30)
connection.execute("PRAGMA journal_mode=WAL")
number = 0
while True:
    number += 1
    connection.execute("INSERT OR REPLACE INTO kv_storage(key, value, created_at, updated_at) VALUES (?, ?, 0, 0)",
                       (f"sessions:{number}", "x" * 500))
    time.sleep(0.005)
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Portagent's folder: its sample databases, and the log that it writes."""
    folder = tmp_path / "portagent"
    shutil.copytree(CASES, folder / "data")
    (folder / "logs").mkdir()
    (folder / "logs" / "portagent.log").write_text("started\n")
    return folder


@pytest.fixture
def watch(tmp_path: Path, database_url: str, docker_engine: Any) -> Iterator[Watch]:
    from tests.servers import running_redis

    folder = tmp_path / "watch"
    (folder / "redis").mkdir(parents=True)
    with running_redis(folder / "redis") as redis:
        environment = {"REDIS_URL": redis.url, "DOCKER_HOST": docker_engine.base_url}
        environment["BACKUP_ROOT"] = str(tmp_path / "var" / "backups")
        if database_url:
            environment["DATABASE_URL"] = database_url
        with watching(folder, environment) as watch:
            watch.beat()
            watch.worker()
            watch.until(lambda: watch.manage("status").returncode == 0, every=1)
            yield watch


def sessions_in(database: Path) -> int:
    connection = sqlite3.connect(database, timeout=30)
    try:
        query = "SELECT COUNT(*) FROM kv_storage WHERE key LIKE 'sessions:%'"
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


def query(database: Path, text: str) -> list[Any]:
    connection = sqlite3.connect(database, timeout=30)
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


def test_the_story_of_seed_002(
    watch: Watch, state: Path, tmp_path: Path, docker_engine: Any, agent_container: Any
) -> None:
    data, root = state / "data", tmp_path / "var" / "backups"
    agent_container("portagent", {}, state)
    writer = docker_engine.api.exec_create("portagent", ["python3", "-c", WRITER])["Id"]
    docker_engine.api.exec_start(writer, detach=True)
    added = watch.manage("agent", "add", "portagent", "--container", "portagent", "--state", str(state))
    assert added.returncode == 0, added.stderr
    users = query(data / "portagent.db", "SELECT username, passwordHash FROM users ORDER BY 1")
    watch.until(lambda: sessions_in(data / "agentx.db") > 50)

    # Online, while the agent writes; the line and the names are the seed's.
    created = watch.manage("backup", "create", "--agent", "portagent", "--kind", "database", "--to", str(root))
    assert created.returncode == 0, created.stdout + created.stderr
    line = re.search(
        rf"^Backup completed: ({root}/\S+/backup-(\d{{8}}_\d{{6}})\.tar\.gz)$", created.stdout, re.MULTILINE
    )
    assert line, created.stdout
    held = sessions_in(data / "agentx.db")
    assert docker_engine.api.exec_inspect(writer)["Running"]
    watch.until(lambda: sessions_in(data / "agentx.db") > held)
    with tarfile.open(line[1]) as archive:
        names = archive.getnames()
    assert {f"agentx-{line[2]}.db", f"portagent-{line[2]}.db"} <= set(names)

    # Nobody looked at it yet; a drill does.
    drilled = watch.manage("backup", "drill", "--agent", "portagent")
    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    report = watch.manage("backup", "report", "--agent", "portagent")
    assert report.returncode == 0, report.stdout

    # Damage, then the way back of the seed: stop, put back, owner and modes, start.
    damaged = bytearray((data / "portagent.db").read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    (data / "portagent.db").write_bytes(damaged)
    began = time.monotonic()
    restored = watch.manage(
        "backup", "restore", "latest", "--agent", "portagent", "--kind", "database", "--yes",
        "--chown", "1000:1000", "--folder-mode", "0700", "--file-mode", "0600",
    )  # fmt: skip
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert time.monotonic() - began < 60
    assert "Stopped the container portagent" in restored.stdout
    assert "Started the container portagent" in restored.stdout
    assert docker_engine.api.inspect_container("portagent")["State"]["Running"]
    for name in ("agentx.db", "portagent.db"):
        status = (data / name).stat()
        assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o600, 1000, 1000)
        assert query(data / name, "PRAGMA integrity_check") == [("ok",)]
    assert query(data / "portagent.db", "SELECT username, passwordHash FROM users ORDER BY 1") == users
    assert 50 < sessions_in(data / "agentx.db") <= held
    assert (state / "logs" / "portagent.log").read_text() == "started\n"

    # What was there before is kept until somebody says that all is well.
    number = re.search(r"manage\.py backup confirm (\d+)", restored.stdout)
    assert number
    assert list(state.glob("data.before-restore-*"))
    assert watch.manage("backup", "confirm", number[1], "--yes").returncode == 0
    assert not list(state.glob("data.before-restore-*"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_nightly_schedule_of_seed_002(watch: Watch, state: Path, tmp_path: Path) -> None:
    """Its cron line, as a job that brings rules of thirty days."""
    watch.manage("agent", "add", "portagent", "--state", str(state))
    created = watch.manage(
        "job", "create", "--displayname", "Portagent Backup", "--schedule", "0 2 * * *", "--executor",
        "database.backup", "--agent", "portagent", "--payload", f'{{"to": "{tmp_path}/var/backups"}}',
    )  # fmt: skip
    assert created.returncode == 0, created.stderr
    done = watch.manage("job", "run", "portagent-backup", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Backup completed: " in done.stdout
    (told,) = watch.ask("backup", "ls")
    assert (told["schedule_name"], told["retention"], told["state"]) == ("portagent-backup", {"days": 30}, "verified")
