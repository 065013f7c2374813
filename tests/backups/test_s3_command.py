"""The ``s3`` command as a person and a scheduler see it: a process of its own, with an environment."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backups.archive.settings import S3Settings
from tests.s3_servers import free_port, keys_of, uploads_left

PROJECT = Path(__file__).parents[2]
SUCCESS = re.compile(r"\[S3\] Backup completed successfully: (workspace_[0-9]{8}_[0-9]{6}\.tar\.gz)\n")
COMMAND = [sys.executable, "-m", "backups.archive.s3cli"]


@pytest.fixture
def environment(rclone_s3: S3Settings, workspace: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "S3_ENDPOINT_URL": rclone_s3.endpoint_url,
        "S3_ACCESS_KEY_ID": rclone_s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": rclone_s3.secret_access_key,
        "S3_BUCKET": rclone_s3.bucket,
        "S3_AGENT": "lead",
        "S3_WORKSPACE": str(workspace),
    }


def s3(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )


def test_backup_ls_restore_delete(environment: dict[str, str], rclone_s3: S3Settings, tmp_path: Path) -> None:
    done = s3(environment, "backup")
    assert (done.returncode, done.stderr) == (0, "")
    match = SUCCESS.fullmatch(done.stdout)
    assert match, done.stdout
    name = match[1]
    assert keys_of(rclone_s3) == [f"workspace/lead/{name}", f"workspace/lead/{name}.sha256"]

    assert name in s3(environment, "ls").stdout
    listed = json.loads(s3(environment, "ls", "--json").stdout)
    assert [(item["name"], sorted(item)) for item in listed] == [(name, ["modified", "name", "size"])]

    refused = s3(environment, "restore", name)
    assert refused.returncode == 1
    assert refused.stderr.startswith("[S3] Restore failed: ")
    assert "is not empty" in refused.stderr
    back = s3(environment, "restore", name, "--to", str(tmp_path / "back"))
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "back/notes/今日.md").exists()
    forced = s3(environment, "restore", name, "--force")
    assert "kept in" in forced.stderr

    unsure = s3(environment, "delete", name)
    assert (unsure.returncode, len(keys_of(rclone_s3))) == (1, 2)
    assert s3(environment, "delete", name, "--yes").returncode == 0
    assert keys_of(rclone_s3) == []
    assert s3(environment, "ls").stdout == ""


def test_seven_backups_leave_five(environment: dict[str, str], rclone_s3: S3Settings) -> None:
    other = {**environment, "S3_AGENT": "lead2"}
    assert s3(other, "backup").returncode == 0
    names = [SUCCESS.fullmatch(s3(environment, "backup").stdout)[1] for _ in range(7)]
    assert names == sorted(set(names))
    mine = [key.rpartition("/")[2] for key in keys_of(rclone_s3) if key.startswith("workspace/lead/")]
    assert [name for name in mine if name.endswith("gz")] == names[2:]
    assert len(mine) == 10
    assert len(keys_of(rclone_s3)) == 12


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"S3_ACCESS_KEY_ID": ""}, r"S3 keys are missing: S3_ACCESS_KEY_ID \(or AWS_ACCESS_KEY_ID\) not set"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "refuses .SignatureDoesNotMatch"),
        ({"S3_BUCKET": "nowhere"}, "bucket 'nowhere' does not exist"),
        ({"S3_WORKSPACE": "/nowhere"}, "The folder /nowhere does not exist here"),
        (
            {"S3_ENDPOINT_URL": "http://user:hunter2@127.0.0.1:1"},
            "S3 at http://127.0.0.1:1 cannot be reached",
        ),
        ({"S3_PREFIX": "a/../b"}, "cannot be a prefix"),
    ],
)
def test_a_failure_is_one_line_with_its_reason(environment: dict[str, str], change: dict, text: str) -> None:
    done = s3({**environment, **change}, "backup")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("[S3] Backup failed: ")
    assert done.stderr.count("\n") == 1
    assert re.search(text, done.stderr), done.stderr
    assert "hunter2" not in done.stderr
    assert environment["AWS_SECRET_ACCESS_KEY"] not in done.stderr


@pytest.mark.parametrize(
    "change", [{"S3_KEEP": "0"}, {"S3_KEEP": "many"}, {"S3_ENDPOINT_URL": "minio:9000"}, {"S3_SSE": "yes"}]
)
def test_a_wrong_setting_is_a_usage_error(environment: dict[str, str], change: dict[str, str]) -> None:
    done = s3({**environment, **change}, "ls")
    assert done.returncode == 2
    assert done.stderr.startswith(f"[S3] List failed: {next(iter(change))}")


def test_usage(environment: dict[str, str]) -> None:
    for arguments in ([], ["nonsense"], ["restore"]):
        assert s3(environment, *arguments).returncode == 2
    told = s3({"PATH": "", "PYTHONPATH": str(PROJECT)}, "--help")
    assert told.returncode == 0
    for word in ("S3_ENDPOINT_URL", "S3_PREFIX", "S3_AGENT", "S3_WORKSPACE", "exit codes"):
        assert word in told.stdout
    missing = s3(environment, "restore", "../../etc/passwd", "--to", "/nowhere")
    assert (missing.returncode, "not the name of an archive" in missing.stderr) == (1, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_a_signal_aborts_the_upload(
    environment: dict[str, str], rclone_s3: S3Settings, workspace: Path, number: int, code: int
) -> None:
    with (workspace / "big").open("wb") as file:
        for _ in range(60):
            file.write(os.urandom(5_000_000))
    process = subprocess.Popen([*COMMAND, "backup"], env=environment, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    while not uploads_left(rclone_s3):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.2)  # amid a part, long before the last one
    started = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=10)
    assert time.monotonic() - started < 3
    assert process.returncode == code
    assert re.fullmatch(r"\[S3\] Backup failed: ended by SIG\w+\..*\n", told)
    assert uploads_left(rclone_s3) == []
    assert keys_of(rclone_s3) == []


@pytest.mark.parametrize("plain", [False, True])
def test_colour_only_at_a_terminal(environment: dict[str, str], plain: bool) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "backup"],
        env={**environment, **({"NO_COLOR": "1"} if plain else {})},
        stdout=theirs,
        stderr=theirs,
        timeout=60,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "[S3] Backup completed successfully: " in shown
    assert ("\x1b[32m" in shown) is not plain


def test_it_carries_neither_django_nor_celery(environment: dict[str, str]) -> None:
    code = """
import sys
from backups.archive.s3cli import main
done = main(["backup"])
heavy = {"django", "celery", "kombu", "redis", "docker", "pydantic"}
heavy |= {"fleet", "schedules", "monitoring", "config"}
print(done, sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "0 []"


def test_an_unreachable_server_takes_seconds_not_minutes(environment: dict[str, str]) -> None:
    started = time.monotonic()
    done = s3({**environment, "S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, "backup")
    assert done.returncode == 1
    assert time.monotonic() - started < 15
