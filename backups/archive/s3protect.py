"""Server-side encryption and object lock: asked for with every object, and not believed before it is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backups.archive.errors import ArchiveMissingError, S3FailedError, S3RefusedError, S3UnsupportedError
from backups.archive.s3client import S3Client
from backups.archive.s3errors import ArchiveLockedError, is_transient
from backups.archive.settings import KMS, S3Settings
from backups.archive.stores import nothing


@dataclass(frozen=True, kw_only=True)
class Protection:
    """What one archive and its checksum carry: the same lock until the same moment, days after the upload began."""

    settings: S3Settings
    locked_until: datetime | None

    @classmethod
    def of(cls, settings: S3Settings) -> Protection:
        if not settings.object_lock_mode:
            return cls(settings=settings, locked_until=None)
        return cls(settings=settings, locked_until=datetime.now(UTC) + timedelta(days=settings.object_lock_days))

    @property
    def parameters(self) -> dict[str, Any]:
        """For ``create_multipart_upload`` and ``put_object``; parts take over what their upload has."""
        found: dict[str, Any] = {}
        if self.settings.sse:
            found["ServerSideEncryption"] = self.settings.sse
        if self.settings.sse == KMS and self.settings.sse_kms_key_id:
            found["SSEKMSKeyId"] = self.settings.sse_kms_key_id
        if self.locked_until:
            found["ObjectLockMode"] = self.settings.object_lock_mode
            found["ObjectLockRetainUntilDate"] = self.locked_until
        return found

    def require_encrypted(self, answer: Mapping[str, Any]) -> None:
        """Servers that do not know a header ignore it; what is thought to be encrypted must be."""
        wanted, got = self.settings.sse, answer.get("ServerSideEncryption")
        if wanted and got != wanted:
            raise S3UnsupportedError(
                f"S3 at {self.settings.place} does not confirm the encryption {wanted} that S3_SSE asks for (it says "
                f"{got or 'nothing'}). Nothing was published: use a server that encrypts, or take S3_SSE out.",
            )

    def require_lockable(self, client: S3Client, on_wait: Callable[[], None]) -> None:
        """Before a byte is sent. A policy may forbid the question; then the lock itself is looked at later."""
        if not self.locked_until:
            return
        try:
            answer = client.call("get_object_lock_configuration", on_wait=on_wait)
        except (S3RefusedError, S3UnsupportedError):
            return
        except S3FailedError as error:
            if is_transient(error):
                raise
            answer = {}
        if answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise S3UnsupportedError(
                f"S3_OBJECT_LOCK_MODE is '{self.settings.object_lock_mode}', but the bucket '{self.settings.bucket}' "
                f"at {self.settings.place} has no object lock. Nothing was sent: make a bucket with object lock (it "
                "can be switched on only with versioning), or take S3_OBJECT_LOCK_MODE out.",
            )

    def require_locked(self, client: S3Client, key: str, on_wait: Callable[[], None] = nothing) -> None:
        """Not every server takes the lock over from the upload: then it is put on the finished object."""
        if not self.locked_until or _lock_of(client, key, on_wait).until:
            return
        mode = self.settings.object_lock_mode
        retention = {"Mode": mode, "RetainUntilDate": self.locked_until}
        client.call("put_object_retention", on_wait=on_wait, Key=key, Retention=retention)
        if not _lock_of(client, key, on_wait).until:
            raise S3UnsupportedError(
                f"S3 at {self.settings.place} did not lock {key}, which S3_OBJECT_LOCK_MODE={mode} asks for. It was "
                "removed again: use a server with object lock, or take S3_OBJECT_LOCK_MODE out.",
            )


@dataclass(frozen=True, kw_only=True)
class _Lock:
    mode: str = ""
    until: datetime | None = None
    legal_hold: bool = False
    version: str = ""


def _lock_of(client: S3Client, key: str, on_wait: Callable[[], None]) -> _Lock:
    """What is known of an object's lock: nothing where it is missing or where we may not look."""
    try:
        answer = client.call("head_object", on_wait=on_wait, Key=key)
    except (ArchiveMissingError, S3RefusedError):
        return _Lock()
    until = answer.get("ObjectLockRetainUntilDate")
    return _Lock(
        mode=answer.get("ObjectLockMode", ""),
        until=until.astimezone(UTC) if until else None,
        legal_hold=answer.get("ObjectLockLegalHoldStatus") == "ON",
        version=answer.get("VersionId", ""),
    )


def remove(client: S3Client, key: str, on_wait: Callable[[], None] = nothing) -> None:
    """Delete an object for good, or raise ``ArchiveLockedError``.

    In a bucket with object lock a plain delete always succeeds: it hides the object and keeps it, and it would
    look pruned. So the version is deleted, which the server refuses while the lock holds.
    """
    lock = _lock_of(client, key, on_wait)
    if lock.legal_hold or (lock.until and lock.until > datetime.now(UTC)):
        raise _locked(client, key, lock)
    if not lock.until:
        client.call("delete_object", on_wait=on_wait, Key=key)
        return
    try:
        client.call("delete_object", on_wait=on_wait, Key=key, VersionId=lock.version)
    except S3RefusedError as error:
        raise _locked(client, key, lock) from error


def _locked(client: S3Client, key: str, lock: _Lock) -> ArchiveLockedError:
    name = key.rpartition("/")[2]
    reason = (
        "a legal hold" if lock.legal_hold else f"an object lock ({lock.mode}) until {lock.until:%Y-%m-%d %H:%M} UTC"
    )
    return ArchiveLockedError(
        f"{name} is protected in the bucket '{client.settings.bucket}' by {reason}: it was not deleted, and stays "
        "as it is. Delete it after that, or have whoever owns the bucket lift the lock.",
    )
