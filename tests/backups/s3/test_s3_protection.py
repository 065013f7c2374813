"""Server-side encryption and object lock: on every object, confirmed, and said in words when they hold."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backups.archive.errors import S3UnsupportedError
from backups.archive.s3errors import ArchiveLockedError
from backups.archive.s3store import S3Store
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks
from tests.s3_servers import client_of, keys_of, uploads_left

PART = 64 * 1024
NAME = "workspace_20260225_083812.tar.gz"
KEYS = (f"workspace/lead/{NAME}", f"workspace/lead/{NAME}.sha256")
CONTENT = bytes(3 * PART + 5)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 256)


@pytest.fixture
def lockable(moto_s3_session: S3Settings) -> S3Settings:
    bucket = f"locked-{secrets.token_hex(4)}"
    client_of(moto_s3_session).create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return replace(moto_s3_session, bucket=bucket, part_size=PART, object_lock_mode="GOVERNANCE", object_lock_days=3)


def put(settings: S3Settings) -> S3Store:
    store = S3Store(settings, "workspace/lead")
    upload = store.begin(NAME, Hooks())
    try:
        upload.write(CONTENT)
        upload.publish(hashlib.sha256(CONTENT).hexdigest())
    finally:
        upload.abort()
    return store


def head(settings: S3Settings, key: str) -> dict[str, Any]:
    found: dict[str, Any] = client_of(settings).head_object(Bucket=settings.bucket, Key=key)
    return found


@pytest.mark.parametrize(("sse", "key"), [("", ""), ("AES256", ""), ("aws:kms", "key-1")])
def test_archive_and_checksum_carry_the_encryption(moto_s3: S3Settings, sse: str, key: str) -> None:
    settings = replace(moto_s3, part_size=PART, sse=sse, sse_kms_key_id=key)
    put(settings)
    for each in KEYS:
        found = head(settings, each)
        assert (found.get("ServerSideEncryption", ""), found.get("SSEKMSKeyId", "")) in {
            (sse, key),
            (sse or "AES256", key),
        }


def test_a_server_that_ignores_the_encryption_is_refused(rclone_s3: S3Settings) -> None:
    settings = replace(rclone_s3, part_size=PART, sse="AES256")
    with pytest.raises(S3UnsupportedError, match="does not confirm the encryption AES256 that S3_SSE asks for"):
        put(settings)
    assert keys_of(rclone_s3) == uploads_left(rclone_s3) == []


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_locked_archive_can_not_be_deleted_and_the_error_says_why(lockable: S3Settings, mode: str) -> None:
    settings = replace(lockable, object_lock_mode=mode)
    store = put(settings)
    for key in KEYS:
        found = head(settings, key)
        assert found["ObjectLockMode"] == mode
        until = datetime.now(UTC) + timedelta(days=3)
        assert abs(found["ObjectLockRetainUntilDate"] - until) < timedelta(minutes=2)
    with pytest.raises(
        ArchiveLockedError, match=rf"protected .* by an object lock \({mode}\) until 20\d\d-\d\d-\d\d"
    ) as no:
        store.delete(NAME)
    assert (no.value.code, no.value.retryable) == ("archive_locked", False)
    assert store.exists(NAME)
    assert store.checksum(NAME)
    # Also who no longer asks for locks, and would only hide it.
    with pytest.raises(ArchiveLockedError):
        S3Store(replace(settings, object_lock_mode=""), "workspace/lead").delete(NAME)
    assert keys_of(settings) == list(KEYS)


def test_a_legal_hold_is_said_too(lockable: S3Settings) -> None:
    settings = replace(lockable, object_lock_mode="", object_lock_days=0)
    store = put(settings)
    client_of(settings).put_object_legal_hold(Bucket=settings.bucket, Key=KEYS[0], LegalHold={"Status": "ON"})
    with pytest.raises(ArchiveLockedError, match="a legal hold"):
        store.delete(NAME)


def test_after_its_lock_an_archive_goes_for_good(lockable: S3Settings) -> None:
    store = put(lockable)
    client = client_of(lockable)
    over = datetime.now(UTC) - timedelta(seconds=5)
    for key in KEYS:
        client.put_object_retention(
            Bucket=lockable.bucket,
            Key=key,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": over},
            BypassGovernanceRetention=True,
        )
    store.delete(NAME)
    left = client.list_object_versions(Bucket=lockable.bucket)
    assert left.get("Versions", []) == left.get("DeleteMarkers", []) == []


def test_a_bucket_without_object_lock_is_refused_before_a_byte_is_sent(
    moto_s3: S3Settings, rclone_s3: S3Settings
) -> None:
    for settings in (moto_s3, rclone_s3):
        asked = replace(settings, part_size=PART, object_lock_mode="COMPLIANCE", object_lock_days=1)
        with pytest.raises(S3UnsupportedError, match="S3_OBJECT_LOCK_MODE is 'COMPLIANCE', but the bucket"):
            put(asked)
        assert keys_of(settings) == uploads_left(settings) == []


def test_a_lock_that_can_not_be_put_on_takes_the_archive_away_again(
    lockable: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.archive import s3protect

    monkeypatch.setattr(s3protect, "_lock_of", lambda *_: s3protect._Lock())
    with pytest.raises(S3UnsupportedError, match="did not lock"):
        put(lockable)
    assert keys_of(lockable) == uploads_left(lockable) == []
