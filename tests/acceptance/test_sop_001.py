"""SOP-001 as a person types it: a real Docker engine, a container named `agent` that has the `s3` command, real S3,
real Redis, beat and worker, on SQLite and on PostgreSQL. `dkron` is `python manage.py`; the lines are the document's.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, Watch, watching

pytestmark = pytest.mark.docker

CREATE_MANUALLY = r"""dkron job create \
  --displayname "Workspace S3 Backup" \
  --schedule "@manually" \
  --command "docker exec agent s3 backup" \
  --executor background"""
CREATE_DAILY = r"""dkron job create \
  --displayname "Daily Workspace Backup" \
  --schedule "0 2 * * *" \
  --command "docker exec agent s3 backup" \
  --executor background"""
SUCCESS = re.compile(r"^\[S3\] Backup completed successfully: workspace_\d{8}_\d{6}\.tar\.gz$", re.MULTILINE)

Type = Callable[..., subprocess.CompletedProcess[str]]


def typed(watch: Watch, line: str) -> subprocess.CompletedProcess[str]:
    """A line of the SOP, `dkron` replaced, as a shell splits it."""
    words = shlex.split(line.replace("\\\n", " "))
    assert words[0] == "dkron"
    return watch.manage(*words[1:])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "agent-workspace"
    (folder / "memory").mkdir(parents=True)
    (folder / "SOUL.md").write_text("# An agent\n")
    (folder / "memory" / "today.md").write_text("Nothing happened.\n")
    return folder


@pytest.fixture
def s3(s3_env: Mapping[str, str]) -> dict[str, str]:
    """One server for the session; each test has its own prefix."""
    return dict(s3_env) | {"S3_PREFIX": f"workspace/{os.urandom(4).hex()}"}


@pytest.fixture
def watch(tmp_path: Path, database_url: str, docker_engine: Any, s3: dict[str, str]) -> Iterator[Watch]:
    from tests.servers import running_redis

    folder = tmp_path / "data"
    (folder / "redis").mkdir(parents=True)
    with running_redis(folder / "redis") as redis:
        environment = {"REDIS_URL": redis.url, "DOCKER_HOST": docker_engine.base_url, **s3}
        if database_url:
            environment["DATABASE_URL"] = database_url
        with watching(folder, environment) as watch:
            assert watch.manage("agent", "add", "agent", "--container", "agent").returncode == 0
            watch.beat()
            watch.worker()
            watch.until(lambda: watch.manage("status").returncode == 0, every=1)
            yield watch


def archives(s3: Mapping[str, str]) -> list[str]:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3["S3_ENDPOINT_URL"],
        aws_access_key_id=s3["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=s3["S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    rows = client.list_objects_v2(Bucket=s3["S3_BUCKET"], Prefix=s3["S3_PREFIX"]).get("Contents", [])
    return sorted(row["Key"] for row in rows if row["Key"].endswith(".tar.gz"))


def test_the_sop_from_end_to_end(watch: Watch, agent_container: Any, s3: dict[str, str], workspace: Path) -> None:
    agent_container("agent", s3, workspace)
    # 5.1, 5.2, 5.3
    assert typed(watch, CREATE_MANUALLY).stdout == "workspace-s3-backup\n"
    assert typed(watch, "dkron job run workspace-s3-backup").returncode == 0
    watch.until(lambda: SUCCESS.search(typed(watch, "dkron job logs workspace-s3-backup --last").stdout), every=0.5)
    # 6
    daily = typed(watch, CREATE_DAILY)
    assert daily.stdout == "daily-workspace-backup\n"
    assert "02:00" in daily.stderr
    # 7.1
    listed = typed(watch, 'dkron job ls --query "backup"').stdout
    assert "workspace-s3-backup" in listed
    assert "daily-workspace-backup" in listed
    # 7.3
    status = typed(watch, "dkron status")
    assert status.returncode == 0, status.stdout
    for part in ("beat", "workers", "queues", "redis", "database", "storage"):
        assert re.search(rf"^{part} +up", status.stdout, re.MULTILINE)
    # 10.2: seven backups leave five
    for _ in range(6):
        done = watch.manage("job", "run", "workspace-s3-backup", "--wait")
        assert done.returncode == 0, done.stdout + done.stderr
    kept = archives(s3)
    assert len(kept) == 5
    newest = SUCCESS.findall(done.stdout)[-1].rpartition(" ")[2]
    assert kept[-1].endswith(newest)
    # 7.2, on a terminal as the SOP has it
    assert delete_on_a_terminal(watch, "workspace-s3-backup") == 0
    assert "workspace-s3-backup" not in typed(watch, "dkron job ls").stdout


def delete_on_a_terminal(watch: Watch, name: str) -> int:
    """`job delete NAME`, answered with y at its question."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "job", "delete", name],
        cwd=ROOT,
        env=watch.environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(leader, 1024)
    os.write(leader, b"y\n")
    code = process.wait(timeout=30)
    os.close(leader)
    return code


def test_fault_1_the_job_is_not_created(watch: Watch) -> None:
    """任务创建失败: the cron expression or the command's syntax."""
    wrong_cron = typed(watch, CREATE_MANUALLY.replace("@manually", "0 25 * * *"))
    assert wrong_cron.returncode == 2
    assert "25" in wrong_cron.stderr
    wrong_command = typed(watch, CREATE_MANUALLY.replace("docker exec agent s3 backup", "docker exce agent s3 backup"))
    assert wrong_command.returncode == 2
    assert "docker exec" in wrong_command.stderr


def test_fault_2_the_command_does_not_run(watch: Watch, toy_container: Any, docker_engine: Any) -> None:
    """备份命令未执行: the container's name; missing, stopped and paused are three different errors."""
    mistyped = typed(watch, CREATE_MANUALLY.replace("exec agent", "exec agnt"))
    assert mistyped.returncode == 2
    assert "Did you mean 'agent'?" in mistyped.stderr
    typed(watch, CREATE_MANUALLY)
    missing = watch.manage("job", "run", "workspace-s3-backup", "--wait")
    assert missing.returncode == 1
    assert "does not exist" in missing.stderr
    toy_container("agent")
    docker_engine.api.pause("agent")
    paused = watch.manage("job", "run", "workspace-s3-backup", "--wait")
    docker_engine.api.unpause("agent")
    assert "paused" in paused.stderr
    docker_engine.api.stop("agent", timeout=1)
    stopped = watch.manage("job", "run", "workspace-s3-backup", "--wait")
    assert "not running" in stopped.stderr or "stopped" in stopped.stderr
    codes = [run["error_code"] for run in watch.ask("job", "runs", "workspace-s3-backup")]
    assert codes == ["container_stopped", "container_paused", "container_missing"]


def test_fault_3_s3_takes_nothing(watch: Watch, agent_container: Any, s3: dict[str, str], workspace: Path) -> None:
    """S3 上传失败: the keys are missing in the agent's container."""
    without_keys = {name: value for name, value in s3.items() if "KEY" not in name}
    agent_container("agent", without_keys, workspace)
    typed(watch, CREATE_MANUALLY)
    done = watch.manage("job", "run", "workspace-s3-backup", "--wait")
    assert done.returncode == 1
    log = typed(watch, "dkron job logs workspace-s3-backup --last").stdout
    assert "S3_ACCESS_KEY_ID" in log
    assert "S3_SECRET_ACCESS_KEY" in log


def test_fault_4_there_is_no_log(watch: Watch) -> None:
    """日志无输出: the job has not run yet."""
    typed(watch, CREATE_MANUALLY)
    done = typed(watch, "dkron job logs workspace-s3-backup --last")
    assert "has not run yet" in done.stderr
    assert "manage.py job run workspace-s3-backup" in done.stderr


def test_cancel_ends_the_exec_in_the_container(watch: Watch, toy_container: Any, docker_engine: Any) -> None:
    toy_container("agent")
    command = CREATE_MANUALLY.replace("s3 backup", "sleep 4321")
    typed(watch, command)
    watch.manage("job", "run", "workspace-s3-backup")
    watch.until(lambda: sleeping(docker_engine), every=0.3)
    (run,) = watch.ask("job", "runs", "workspace-s3-backup")
    assert watch.manage("job", "cancel", run["job_run_id"]).returncode == 0
    watch.until(lambda: not sleeping(docker_engine), seconds=8)
    watch.until(lambda: watch.ask("job", "runs", "workspace-s3-backup")[0]["status"] == "cancelled", seconds=10)


def test_a_killed_workers_exec_is_reaped_before_the_next_attempt(
    watch: Watch, toy_container: Any, docker_engine: Any
) -> None:
    watch.environment |= {"LEASE_SECONDS": "6", "HEARTBEAT_SECONDS": "1"}
    watch.kill("beat")
    watch.kill("worker")
    watch.beat()
    watch.worker()
    toy_container("agent")
    typed(watch, CREATE_MANUALLY.replace("s3 backup", "sleep 4321"))
    watch.manage("job", "run", "workspace-s3-backup")
    watch.until(lambda: len(sleeping(docker_engine)) == 1, every=0.3)
    first = sleeping(docker_engine)
    watch.kill("worker")
    watch.worker()
    watch.until(lambda: (now := sleeping(docker_engine)) and now != first, every=0.5)
    assert len(sleeping(docker_engine)) == 1, "the former exec was ended before the next one started"


def sleeping(engine: Any) -> list[str]:
    """The processes of the job in the container, by their ids on the host."""
    rows = engine.api.top("agent")["Processes"]
    return [row[1] for row in rows if row[-1].endswith("sleep 4321")]
