"""Uploads through what breaks: sent again where that is safe, compared with what was stored, nothing left behind."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from backups.archive import s3parts, s3upload
from backups.archive.errors import (
    ArchiveError,
    EndedEarlyError,
    NameTakenError,
    S3FailedError,
    S3UnreachableError,
)
from backups.archive.s3client import S3Client
from backups.archive.s3retry import Retry
from backups.archive.s3store import S3Store
from backups.archive.s3sweep import sweep_uploads
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks
from tests.s3_faults import Proxy, faulty
from tests.s3_servers import client_of, keys_of, uploads_left

PART = 64 * 1024
NAME = "workspace_20260225_083812.tar.gz"
KEY = f"workspace/lead/{NAME}"
CONTENT = random.Random(5).randbytes(6 * PART + 11)
MD5_OF_X = "9dd4e461268c8034f5c8564e155c67a6"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 256)
    monkeypatch.setattr("backups.archive.s3client.Retry", lambda: Retry(first=0.02, longest=0.05))


@pytest.fixture(params=["rclone", "moto"])
def server(request: pytest.FixtureRequest) -> S3Settings:
    return replace(request.getfixturevalue(f"{request.param}_s3"), part_size=PART)


@pytest.fixture
def proxied(server: S3Settings) -> Iterator[tuple[S3Store, Proxy]]:
    with faulty(server, read_timeout=0.2) as (behind, proxy):
        yield S3Store(behind, "workspace/lead"), proxy


def put(store: S3Store, content: bytes = CONTENT, hooks: Hooks | None = None) -> None:
    upload = store.begin(NAME, hooks or Hooks())
    try:
        for start in range(0, len(content), 50_000):
            upload.write(content[start : start + 50_000])
        upload.publish(hashlib.sha256(content).hexdigest())
    finally:
        upload.abort()


def require_whole(server: S3Settings) -> None:
    """With one client: to make one takes longer than all that is asked here."""
    client = client_of(server)
    assert client.get_object(Bucket=server.bucket, Key=KEY)["Body"].read() == CONTENT
    assert client.get_object(Bucket=server.bucket, Key=f"{KEY}.sha256")["Body"].read().startswith(SHA256.encode())
    assert client.list_objects_v2(Bucket=server.bucket)["KeyCount"] == 2
    assert "Uploads" not in client.list_multipart_uploads(Bucket=server.bucket)


def require_nothing(server: S3Settings) -> None:
    assert keys_of(server) == []
    assert uploads_left(server) == []


@pytest.mark.parametrize("step", ["POST /", "partNumber=7", "PUT /{}.sha256", "POST /{}?uploadId"])
def test_each_step_survives_each_fault(proxied: tuple[S3Store, Proxy], server: S3Settings, step: str) -> None:
    store, proxy = proxied
    for kind in ("error", "slowdown", "reset_before", "reset_after", "timeout", "timeout_after"):
        proxy.dice.script = [(step.format(f"{server.bucket}/{KEY}"), kind)]
        put(store)
        assert proxy.dice.script == []
        require_whole(server)
        store.delete(NAME)


def test_a_wrong_etag_makes_the_part_be_sent_again(proxied: tuple[S3Store, Proxy], server: S3Settings) -> None:
    store, proxy = proxied
    proxy.dice.script = [("partNumber=3", "etag")] * 2
    put(store)
    assert sum("partNumber=3&" in f"{request}&" for request in proxy.requests) == 3
    require_whole(server)


def test_a_server_that_keeps_storing_something_else_is_an_error(
    proxied: tuple[S3Store, Proxy], server: S3Settings
) -> None:
    store, proxy = proxied
    proxy.dice.script = [("partNumber=3", "etag")] * 50
    with pytest.raises(S3FailedError, match=r"stored part 3 of .* differently from what was sent"):
        put(store)
    require_nothing(server)


def test_with_kms_an_etag_is_no_md5(moto_s3: S3Settings) -> None:
    server = replace(moto_s3, part_size=PART, sse="aws:kms", sse_kms_key_id="key-1")
    with faulty(server) as (behind, proxy):
        proxy.dice.script = [("partNumber=3", "etag")]
        with pytest.raises(ArchiveError):  # moto refuses to complete with it; but the part was sent once only
            put(S3Store(behind, "workspace/lead"))
        assert sum("partNumber=3" in request for request in proxy.requests) == 1


@pytest.mark.parametrize(
    ("tag", "agrees"),
    [("0" * 32, False), ("0" * 31, True), ("abc-3", True), (MD5_OF_X, True), (MD5_OF_X.upper(), True)],
)
def test_which_etags_are_compared(tag: str, agrees: bool) -> None:
    assert s3parts._agrees({"ETag": f'"{tag}"'}, MD5_OF_X) is agrees
    assert s3parts._agrees({"ETag": tag, "ServerSideEncryption": "aws:kms"}, "f" * 32)


def test_no_more_than_three_parts_are_under_way_at_once(server: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    flying, most, lock = 0, 0, threading.Lock()
    request = S3Client._request

    def watched(client: S3Client, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        nonlocal flying, most
        if operation != "upload_part":
            return request(client, operation, params)
        with lock:
            flying += 1
            most = max(most, flying)
        time.sleep(0.05)
        try:
            return request(client, operation, params)
        finally:
            with lock:
                flying -= 1

    monkeypatch.setattr(S3Client, "_request", watched)
    put(S3Store(server, "workspace/lead"))
    assert most == 3
    require_whole(server)


def test_late_parts_are_larger_and_go_one_by_one(server: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3parts, "SMALL_PARTS", 2)
    monkeypatch.setattr(s3parts, "FLYING_BYTES", 5 * PART)
    upload = S3Store(server, "workspace/lead").begin(NAME, Hooks())
    upload.write(CONTENT + CONTENT)
    assert upload._parts.size == 4 * PART
    assert [size for size, _ in upload._parts._flying] == [4 * PART]
    upload.publish("0" * 64)
    assert client_of(server).get_object(Bucket=server.bucket, Key=KEY)["Body"].read() == CONTENT + CONTENT


def test_an_archive_of_too_many_parts_is_said(server: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3parts, "MOST_PARTS", 3)
    with pytest.raises(S3FailedError, match="more than the 3 parts"):
        put(S3Store(server, "workspace/lead"))
    require_nothing(server)


def test_a_server_that_lost_a_part_is_caught_after_completing(
    moto_s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is not as long as what was sent, and the server noticed nothing."""
    server = replace(moto_s3, part_size=PART)
    land_all = s3parts.Parts.land_all
    monkeypatch.setattr(s3parts.Parts, "land_all", lambda parts: land_all(parts)[:-1])
    with pytest.raises(S3FailedError, match=r"stored 393,216 bytes of .* was sent 393,227"):
        put(S3Store(server, "workspace/lead"))
    require_nothing(server)


def test_a_server_that_names_the_whole_is_not_asked_for_its_size(server: S3Settings) -> None:
    """Asked, rclone's reads the whole archive once more for its MD5: a second for each 700 MB."""
    with faulty(server) as (behind, proxy):
        put(S3Store(behind, "workspace/lead"))
        assert proxy.requests[-1].startswith("POST ")
    require_whole(server)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["POST /", "partNumber=3", "PUT /{}.sha256", "POST /{}?uploadId"])
def test_a_server_that_dies_shows_nothing_that_is_not_whole(
    server: S3Settings, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    monkeypatch.setattr("backups.archive.s3client.Retry", lambda: Retry(tries=2, first=0.02))
    monkeypatch.setattr(s3upload, "PATIENCE", 0.3)
    handles: list[Any] = []
    with faulty(server, read_timeout=0.2) as (behind, proxy):
        proxy.die_at, proxy.die_after = step.format(f"{server.bucket}/{KEY}"), after
        with pytest.raises(S3UnreachableError):
            put(S3Store(behind, "workspace/lead"), hooks=Hooks(on_handle=handles.append))
        proxy.revive()
        store = S3Store(behind, "workspace/lead")
        store.reap(handles[-1])
        if store.exists(NAME):
            # The one thing that cannot be known: it was finished, and the answer never came.
            assert after
            assert step.startswith("POST /{}")
            require_whole(server)
            return
    require_nothing(server)


def test_being_stopped_ends_at_once_whatever_the_server_does(
    server: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3upload, "PATIENCE", 0.3)
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise EndedEarlyError("enough")

    with faulty(server, read_timeout=30) as (behind, proxy):
        proxy.die_at = "partNumber=2"
        threading.Timer(0.5, stop.set).start()
        started = time.monotonic()
        with pytest.raises(EndedEarlyError):
            put(S3Store(behind, "workspace/lead"), hooks=Hooks(on_wait=check))
        assert time.monotonic() - started < 2.5
    swept = sweep_uploads(server, "workspace", timedelta(0), keep=set())
    assert [each.key for each in swept] == [KEY]
    require_nothing(server)


def test_being_stopped_ends_the_retries(server: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backups.archive.s3client.Retry", lambda: Retry(tries=100, first=0.3, longest=0.3))
    started = time.monotonic()

    def check() -> None:
        if time.monotonic() - started > 1:
            raise EndedEarlyError("enough")

    with faulty(server) as (behind, proxy):
        proxy.dice.script = [("partNumber=2", "slowdown")] * 100
        with pytest.raises(EndedEarlyError):
            put(S3Store(behind, "workspace/lead"), hooks=Hooks(on_wait=check))
        asked = len(proxy.requests)
        time.sleep(0.8)
        assert len(proxy.requests) == asked
    require_nothing(server)


def test_an_upload_whose_id_got_lost_does_not_stay(proxied: tuple[S3Store, Proxy], server: S3Settings) -> None:
    store, proxy = proxied
    proxy.dice.script = [("POST /", "reset_after")] * 100
    with pytest.raises(S3UnreachableError):
        store.begin(NAME, Hooks())
    require_nothing(server)


def test_the_upload_of_another_is_not_ended_with_a_lost_one(proxied: tuple[S3Store, Proxy], server: S3Settings) -> None:
    store, proxy = proxied
    first = S3Store(server, "workspace/lead").begin(NAME, Hooks())
    proxy.dice.script = [("POST /", "reset_after")]
    with pytest.raises(NameTakenError):
        store.begin(NAME, Hooks())
    first.write(CONTENT)
    first.publish(SHA256)
    require_whole(server)


def test_the_checksum_of_another_stays_when_ours_fails(moto_s3: S3Settings) -> None:
    theirs = partial(client_of(moto_s3).put_object, Bucket=moto_s3.bucket, Key=f"{KEY}.sha256", Body=b"theirs")
    store = S3Store(replace(moto_s3, part_size=PART), "workspace/lead")
    with pytest.raises(NameTakenError):
        put(store, hooks=Hooks(before_publish=theirs))
    assert keys_of(moto_s3) == [f"{KEY}.sha256"]
    assert uploads_left(moto_s3) == []


def test_an_abort_in_a_thread_of_parts_leaves_no_part(server: S3Settings) -> None:
    with faulty(server, latency=0.1) as (behind, _):
        upload = S3Store(behind, "workspace/lead").begin(NAME, Hooks())
        upload.write(CONTENT[: 3 * PART])
        upload.abort()
    time.sleep(0.3)
    require_nothing(server)


def test_memory_stays_bounded_whatever_the_size(rclone_s3: S3Settings) -> None:
    """In a process of its own: 160 MB pass through far less (botocore's cycles once kept them all)."""
    code = f"""
from backups.archive.s3store import S3Store
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks

def peak():
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

settings = S3Settings(endpoint_url={rclone_s3.endpoint_url!r}, access_key_id={rclone_s3.access_key_id!r},
                      secret_access_key={rclone_s3.secret_access_key!r}, bucket={rclone_s3.bucket!r})
store = S3Store(settings, "workspace/lead")
upload = store.begin({NAME!r}, Hooks())
before = peak()
for _ in range(640):
    upload.write(bytes(256 * 1024))
upload.publish("0" * 64)
reader = store.reader({NAME!r})
while reader.read(1_000_000):
    pass
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 70
