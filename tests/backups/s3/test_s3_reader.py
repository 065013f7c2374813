"""Reading from S3: from any byte on, through what breaks, and never a part for the whole."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups.archive import s3reader
from backups.archive.errors import ArchiveError, ArchiveMissingError, EndedEarlyError, S3FailedError
from backups.archive.folderstore import FolderStore
from backups.archive.s3reader import CHUNK
from backups.archive.s3retry import Retry
from backups.archive.s3store import S3Store
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks, Store
from tests.s3_faults import Dice, Proxy, faulty
from tests.s3_servers import client_of

NAME = "workspace_20260225_083812.tar.gz"
KEY = f"workspace/lead/{NAME}"
CONTENT = random.Random(7).randbytes(5 * CHUNK + 17)


def put(store: Store, content: bytes = CONTENT) -> None:
    upload = store.begin(NAME, Hooks())
    upload.write(content)
    upload.publish(hashlib.sha256(content).hexdigest())


def read(store: Store, *, offset: int = 0, size: int = 100_000) -> bytes:
    with contextlib.closing(store.reader(NAME, offset=offset)) as reader:
        return b"".join(iter(lambda: reader.read(size), b""))


@pytest.fixture
def proxied(rclone_s3: S3Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[S3Store, Proxy]]:
    monkeypatch.setattr("backups.archive.s3client.Retry", lambda: Retry(first=0.02, longest=0.05))
    monkeypatch.setattr(s3reader, "STANDSTILL", Retry(tries=6, first=0.02, longest=0.05))
    put(S3Store(rclone_s3, "workspace/lead"))
    with faulty(rclone_s3, read_timeout=0.3) as (behind, proxy):
        yield S3Store(behind, "workspace/lead"), proxy


@pytest.fixture(params=["folder", "rclone", "moto"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        store: Store = FolderStore(tmp_path / "archives")
    else:
        store = S3Store(request.getfixturevalue(f"{request.param}_s3"), "workspace/lead")
    put(store)
    return store


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, len(CONTENT) + 10), size=st.integers(20_000, 3 * CHUNK))
def test_any_offset(filled: Store, offset: int, size: int) -> None:
    assert read(filled, offset=offset, size=size) == CONTENT[offset:]


@pytest.mark.parametrize("offset", [0, 1, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1])
def test_the_edges(filled: Store, offset: int) -> None:
    assert read(filled, offset=offset) == CONTENT[offset:]


def test_an_empty_archive(moto_s3: S3Settings) -> None:
    store = S3Store(moto_s3, "workspace/lead")
    client_of(moto_s3).put_object(Bucket=moto_s3.bucket, Key=KEY, Body=b"")
    assert read(store) == read(store, offset=3) == b""


@pytest.mark.parametrize(
    "kind", ["short", "reset_before", "reset_after", "timeout", "error", "slowdown", "timeout_after"]
)
@pytest.mark.parametrize("offset", [0, 1000])
def test_it_goes_on_where_it_broke(proxied: tuple[S3Store, Proxy], kind: str, offset: int) -> None:
    store, proxy = proxied
    proxy.dice.script = [(NAME, kind)] * 3
    assert read(store, offset=offset) == CONTENT[offset:]
    assert proxy.dice.script == []


def test_only_the_rest_is_asked_for_again(proxied: tuple[S3Store, Proxy]) -> None:
    store, proxy = proxied
    proxy.dice.script = [(NAME, "short")]
    assert read(store) == CONTENT
    ranges = [headers.get("Range") for request, headers in proxy.seen if NAME in request]
    assert ranges == [None, f"bytes={len(CONTENT) // 2}-"]
    assert [headers.get("If-Match") is not None for _, headers in proxy.seen if NAME in _] == [False, True]


def test_a_stream_that_stands_still_is_an_error_and_no_short_archive(proxied: tuple[S3Store, Proxy]) -> None:
    store, proxy = proxied
    proxy.dice.script = [(NAME, "short"), *[(NAME, "reset_before")] * 20]
    got: list[bytes] = []
    reader = store.reader(NAME)
    with contextlib.closing(reader), pytest.raises(ArchiveError):
        got.extend(iter(lambda: reader.read(100_000), b""))
    assert len(b"".join(got)) < len(CONTENT)
    assert len(proxy.dice.script) == 20 - 5  # the first of the six had got somewhere
    with pytest.raises(EndedEarlyError):
        reader.read(1)


def test_two_objects_are_never_mixed(proxied: tuple[S3Store, Proxy], rclone_s3: S3Settings) -> None:
    store, proxy = proxied
    other = random.Random(8).randbytes(len(CONTENT))
    client = client_of(rclone_s3)
    exchange = partial(client.put_object, Bucket=rclone_s3.bucket, Key=KEY, Body=other)
    proxy.dice.script = [(NAME, "short"), (NAME, exchange)]
    with pytest.raises(S3FailedError, match="was replaced by another object while it was read"):
        read(store)


def test_an_archive_that_goes_away_while_it_is_read(proxied: tuple[S3Store, Proxy], rclone_s3: S3Settings) -> None:
    store, proxy = proxied
    delete = partial(client_of(rclone_s3).delete_object, Bucket=rclone_s3.bucket, Key=KEY)
    proxy.dice.script = [(NAME, "short"), (NAME, delete)]
    with pytest.raises(ArchiveMissingError):
        read(store)


def test_half_a_checksum_is_not_taken_for_none(proxied: tuple[S3Store, Proxy]) -> None:
    store, proxy = proxied
    proxy.dice.script = [(".sha256", "short")] * 2
    assert store.checksum(NAME) == hashlib.sha256(CONTENT).hexdigest()


def test_an_answer_that_is_cut_off_is_not_taken_for_a_missing_archive(moto_s3: S3Settings) -> None:
    with faulty(moto_s3, Dice(rate=0, seed=0)) as (behind, proxy):
        proxy.dice.script = [(NAME, "short")]
        with pytest.raises(ArchiveMissingError):
            S3Store(behind, "workspace/lead").reader(NAME)
        assert sum(NAME in request for request in proxy.requests) == 2


def test_being_stopped_does_not_wait_for_a_silent_server(rclone_s3: S3Settings) -> None:
    put(S3Store(rclone_s3, "workspace/lead"), bytes(30 * CHUNK))
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise EndedEarlyError("enough")

    with faulty(rclone_s3, read_timeout=30) as (behind, proxy):
        store = S3Store(behind, "workspace/lead", on_wait=check)
        proxy.dice.script = [(NAME, "short")]
        reader = store.reader(NAME)
        proxy.die()
        threading.Timer(0.3, stop.set).start()
        started = time.monotonic()
        with contextlib.closing(reader), pytest.raises(EndedEarlyError):
            list(iter(lambda: reader.read(CHUNK), b""))
        assert time.monotonic() - started < 1.5


def test_little_is_read_ahead(rclone_s3: S3Settings) -> None:
    store = S3Store(rclone_s3, "workspace/lead")
    put(store, bytes(60 * CHUNK))
    with contextlib.closing(store.reader(NAME)) as reader:
        time.sleep(0.5)
        assert reader._waiting <= s3reader.AHEAD + CHUNK
    reader._thread.join(5)
    assert not reader._thread.is_alive()
