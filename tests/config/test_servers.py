"""The servers that the other tests stand on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import boto3
import psycopg
import pytest
import redis
from botocore.config import Config

from tests import servers


def test_redis_is_real(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        version = tuple(int(part) for part in client.info("server")["redis_version"].split(".")[:2])
    assert version >= (6, 2)


def test_an_own_redis_comes_back_with_its_data(tmp_path: Path) -> None:
    for start in range(2):
        with servers.running_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            assert client.get("kept") == (b"yes" if start else None)
            client.set("kept", "yes")
        assert server.process.poll() is not None


@pytest.mark.postgres
def test_postgres_is_real(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
        names = connection.execute("SELECT datname FROM pg_database").fetchall()
        assert ("another",) in names
        connection.execute("DROP DATABASE another")


@pytest.mark.postgres
def test_postgres_of_the_wheel() -> None:
    with servers.folder("wheel") as folder:
        binaries = servers.bundled_postgres(folder)
        with (
            servers.running_postgres(folder, binaries=binaries) as server,
            psycopg.connect(server.url) as connection,
        ):
            assert connection.info.server_version >= 180000


def test_s3_is_real(s3_env: Mapping[str, str]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3_env["S3_ENDPOINT_URL"],
        aws_access_key_id=s3_env["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=s3_env["S3_SECRET_ACCESS_KEY"],
        region_name=s3_env["S3_REGION"],
        config=Config(s3={"addressing_style": "path"}),
    )
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [s3_env["S3_BUCKET"]]
    client.close()


def test_a_missing_server_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        servers.missing("no such server")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        servers.missing("no such server")
