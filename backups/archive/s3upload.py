"""A streamed multipart upload: bounded memory, no file on disk, nothing left behind on any failure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from backups.archive.background import Background
from backups.archive.errors import (
    ArchiveError,
    NameTakenError,
    S3FailedError,
    S3RefusedError,
    S3UnsupportedError,
    UploadGoneError,
)
from backups.archive.naming import CHECKSUM_SUFFIX, checksum_line
from backups.archive.s3client import S3Client
from backups.archive.stores import Handle, Hooks, nothing

MIB = 1024 * 1024
#: S3 takes 10,000 parts of at least 5 MiB: 39 GiB in parts of 8 MiB, and 156 GiB more in parts of 32 MiB.
PART, LARGE_PART = 8 * MIB, 32 * MIB
SMALL_PARTS, MOST_PARTS = 5_000, 10_000
#: Seconds that an abort waits for a part in flight; a part that arrives later would be kept, and paid for.
SETTLE = 0.5


class S3Upload:
    """Holds at most a part being filled and one in flight.

    The upload itself is the claim of its name: two that start in one second see each other's and both give
    way, which also works with servers that ignore ``If-None-Match``.
    """

    def __init__(self, client: S3Client, key: str, hooks: Hooks) -> None:
        self._client, self._key, self._hooks = client, key, hooks
        self._buffer = bytearray()
        self._parts: list[dict[str, Any]] = []
        self._flying: Background[dict[str, Any]] | None = None
        self._size = 0
        self._over = False
        hooks.on_handle(s3_handle(client, key, ""))
        self._id: str = client.call("create_multipart_upload", on_wait=hooks.on_wait, Key=key)["UploadId"]
        try:
            hooks.on_handle(s3_handle(client, key, self._id))
            self._require_claim()
        except NameTakenError:
            self._end()
            raise
        except BaseException:
            self.abort()
            raise

    def _require_claim(self) -> None:
        """In this order: an upload that is over when they are listed has made its archive by then."""
        if set(uploads_of(self._client, self._key)) - {self._id}:
            raise NameTakenError(f"{self._key} is just being written by another backup.")
        if size_of(self._client, self._key) is not None:
            raise NameTakenError(f"{self._key} exists.")

    def write(self, data: bytes) -> None:
        self._buffer += data
        self._size += len(data)
        while len(self._buffer) >= self._part_size():
            self._send(self._part_size())

    def _part_size(self) -> int:
        return PART if len(self._parts) < SMALL_PARTS else LARGE_PART

    def _send(self, size: int) -> None:
        self._land()
        if len(self._parts) >= MOST_PARTS:
            raise S3FailedError("The archive is larger than the 195 GiB that one upload takes: leave something out.")
        body = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        self._parts.append({"PartNumber": len(self._parts) + 1})
        self._flying = self._client.start(
            "upload_part",
            Key=self._key,
            UploadId=self._id,
            PartNumber=len(self._parts),
            Body=body,
        )

    def _land(self) -> None:
        """Wait for the part in flight."""
        if self._flying is not None:
            self._parts[-1]["ETag"] = self._flying.wait(self._hooks.on_wait)["ETag"]
            self._flying = None

    def publish(self, sha256: str) -> None:
        """Checksum first: an archive that can be seen always has one."""
        if self._buffer or not self._parts:
            self._send(len(self._buffer))
        self._land()
        self._hooks.before_publish()
        name = self._key.rpartition("/")[2]
        try:
            self._put_checksum(checksum_line(name, sha256))
            self._complete_or_undo()
        except NameTakenError:
            self._end()
            raise
        self._over = True

    def _complete_or_undo(self) -> None:
        try:
            self._complete()
        except BaseException:
            with contextlib.suppress(ArchiveError):
                self._client.call("delete_object", Key=self._key + CHECKSUM_SUFFIX)
            raise

    def _put_checksum(self, line: bytes) -> None:
        if size_of(self._client, self._key) is not None:
            raise NameTakenError(f"{self._key} exists.")
        if_absent(self._client, "put_object", Key=self._key + CHECKSUM_SUFFIX, Body=line)

    def _complete(self) -> None:
        try:
            if_absent(
                self._client,
                "complete_multipart_upload",
                Key=self._key,
                UploadId=self._id,
                MultipartUpload={"Parts": self._parts},
            )
        except ArchiveError:
            # The answer may be lost after the server did the work. The checksum beside it is ours, so an
            # archive of this size under this name is ours too.
            if size_of(self._client, self._key) != self._size:
                raise

    def abort(self) -> None:
        """What could not be removed is found again by the handle, and :meth:`S3Store.reap` says so."""
        with contextlib.suppress(ArchiveError):
            self._end()

    def _end(self) -> None:
        """Raises when the upload is left: the handle of the next name would take the place of this one's."""
        if self._over:
            return
        self._over = True
        flying, self._flying = self._flying, None
        abort_upload(self._client, self._key, self._id)
        if flying is not None and not flying.settled(0):
            flying.settled(SETTLE)
            abort_upload(self._client, self._key, self._id)


def s3_handle(client: S3Client, key: str, upload_id: str) -> Handle:
    return {"store": "s3", "bucket": client.settings.bucket, "key": key, "upload_id": upload_id}


def uploads_of(client: S3Client, key: str, on_wait: Callable[[], None] = nothing) -> list[str]:
    """The ids of the unfinished uploads of one key; none where the server cannot, or may not, say.

    rclone's server answers "no such upload" for a bucket that never had one.
    """
    try:
        answer = client.call("list_multipart_uploads", on_wait=on_wait, Prefix=key)
    except (S3RefusedError, S3UnsupportedError, UploadGoneError):
        return []
    return [upload["UploadId"] for upload in answer.get("Uploads", []) if upload["Key"] == key]


def abort_upload(client: S3Client, key: str, upload_id: str, on_wait: Callable[[], None] = nothing) -> bool:
    """False when it was gone already. Raises what else the server says: the upload is left."""
    try:
        client.call("abort_multipart_upload", on_wait=on_wait, Key=key, UploadId=upload_id)
    except UploadGoneError:
        return False
    return True


def size_of(client: S3Client, key: str, on_wait: Callable[[], None] = nothing) -> int | None:
    """Asked by listing: a HEAD of what is missing is answered 403 where listing is not allowed."""
    found = client.call("list_objects_v2", on_wait=on_wait, Prefix=key, MaxKeys=2).get("Contents", [])
    return next((int(item["Size"]) for item in found if item["Key"] == key), None)


def if_absent(client: S3Client, operation: str, **params: Any) -> None:
    """Create only what is not there, on servers that can; the claim of the name covers the others."""
    try:
        client.call(operation, IfNoneMatch="*", **params)
    except S3UnsupportedError:
        client.call(operation, **params)
