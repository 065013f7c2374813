"""A streamed multipart upload: bounded memory, no file on disk, nothing left behind on any failure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from backups.archive.errors import (
    ArchiveError,
    NameTakenError,
    S3FailedError,
    S3RefusedError,
    S3UnreachableError,
    S3UnsupportedError,
    UploadGoneError,
)
from backups.archive.naming import CHECKSUM_SUFFIX, checksum_line
from backups.archive.s3client import S3Client
from backups.archive.s3errors import is_transient
from backups.archive.s3parts import Parts, content_md5
from backups.archive.s3protect import Protection
from backups.archive.s3retry import Flight
from backups.archive.stores import Handle, Hooks, nothing

#: Seconds that an abort waits for parts in flight; a part that arrives later would be kept, and paid for.
SETTLE = 0.5
#: Seconds that are spent on taking back what was begun. A server that is silent for longer is left to
#: :meth:`S3Store.reap` and to the sweeper.
PATIENCE = 5.0
_CHECKSUM_BYTES = 4096


class S3Upload:
    """Holds a part being filled and the few under way (:mod:`s3parts`).

    The upload itself is the claim of its name: two that start in one second see each other's and both give
    way, which also works with servers that ignore ``If-None-Match``.
    """

    def __init__(self, client: S3Client, key: str, hooks: Hooks) -> None:
        self._client, self._key, self._hooks = client, key, hooks
        self._protection = Protection.of(client.settings)
        self._buffer = bytearray()
        self._size = 0
        self._over = False
        self._tag = ""
        hooks.on_handle(s3_handle(client, key, ""))
        self._protection.require_lockable(client, hooks.on_wait)
        self._id = _Creation(client, key, self._protection).run(hooks.on_wait)
        self._parts = Parts(client, key, self._id, hooks.on_wait)
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
        if set(uploads_of(self._client, self._key, self._hooks.on_wait)) - {self._id}:
            raise NameTakenError(f"{self._key} is just being written by another backup.")
        if size_of(self._client, self._key, self._hooks.on_wait) is not None:
            raise NameTakenError(f"{self._key} exists.")

    def write(self, data: bytes) -> None:
        self._size += len(data)
        rest = memoryview(data)
        while rest:
            fits = self._parts.size - len(self._buffer)
            self._buffer += rest[:fits]
            rest = rest[fits:]
            if len(self._buffer) >= self._parts.size:
                self._send()

    def _send(self) -> None:
        body, self._buffer = self._buffer, bytearray()
        self._parts.send(body)

    def publish(self, sha256: str) -> None:
        """Checksum first: an archive that can be seen always has one."""
        if self._buffer or not self._parts.count:
            self._send()
        parts = self._parts.land_all()
        self._hooks.before_publish()
        line = checksum_line(self._key.rpartition("/")[2], sha256)
        try:
            self._put_checksum(line)
            self._complete(parts)
        except NameTakenError:
            self._end()
            self._take_back_checksum(line)
            raise
        except BaseException:
            if not self._is_published_after_all(line):
                raise
        self._over = True
        self._require_whole()
        self._require_locked()

    def _put_checksum(self, line: bytes) -> None:
        if size_of(self._client, self._key, self._hooks.on_wait) is not None:
            raise NameTakenError(f"{self._key} exists.")
        self._client.run(lambda: self._try_checksum(line), self._hooks.on_wait)

    def _try_checksum(self, line: bytes) -> None:
        key = self._key + CHECKSUM_SUFFIX
        parameters = {"Body": line, "ContentMD5": content_md5(line), **self._protection.parameters}
        try:
            if_absent(self._client, "put_object", Key=key, **parameters)
        except NameTakenError:
            # A try before this one may have put it although its answer was lost.
            if self._client.direct.fetch(key, _CHECKSUM_BYTES) != line:
                raise

    def _complete(self, parts: list[dict[str, Any]]) -> None:
        whole = {"Key": self._key, "UploadId": self._id, "MultipartUpload": {"Parts": parts}}
        self._client.run(lambda: self._try_complete(whole), self._hooks.on_wait)

    def _try_complete(self, whole: dict[str, Any]) -> None:
        try:
            self._tag = str(if_absent(self._client, "complete_multipart_upload", **whole).get("ETag", ""))
        except ArchiveError:
            # The answer may be lost after the server did the work. The checksum beside it is ours, so an
            # archive of this size under this name is ours too.
            if size_of(self._client.direct, self._key) != self._size:
                raise

    def _is_published_after_all(self, line: bytes) -> bool:
        """Where completing ended in doubt: end the upload, so that nothing can happen late any more, and look.

        A server that is silent now leaves upload and checksum to :meth:`S3Store.reap`.
        """
        with _bounded() as patience, contextlib.suppress(ArchiveError):
            abort_upload(self._client, self._key, self._id, patience)
            if size_of(self._client, self._key, patience) == self._size:
                return True
            self._take_back_checksum(line)
        return False

    def _take_back_checksum(self, line: bytes) -> None:
        """Only our own, and only when there is no archive that it could belong to."""
        key = self._key + CHECKSUM_SUFFIX
        with _bounded() as patience, contextlib.suppress(ArchiveError):
            if size_of(self._client, self._key, patience) is None and (
                self._client.fetch(key, _CHECKSUM_BYTES, on_wait=patience) == line
            ):
                self._client.call("delete_object", on_wait=patience, Key=key)

    def _require_whole(self) -> None:
        """What is visible now is what was sent; else it is taken away again.

        A server whose ETag is that of all parts has put them together; another one is asked for the size.
        """
        if self._tag == self._parts.whole_tag:
            return
        try:
            stored = size_of(self._client, self._key)
        except ArchiveError:
            return  # the server said that it is done, and nobody says that it is not whole
        if stored != self._size:
            self._remove()
            raise S3FailedError(
                f"S3 at {self._client.settings.place} stored {stored or 0:,} bytes of {self._key} and was sent "
                f"{self._size:,}. The archive was removed again: check the server, then try again.",
            )

    def _require_locked(self) -> None:
        try:
            self._protection.require_locked(self._client, self._key)
        except ArchiveError:
            self._remove()
            raise

    def _remove(self) -> None:
        for key in (self._key, self._key + CHECKSUM_SUFFIX):
            with _bounded() as patience, contextlib.suppress(ArchiveError):
                self._client.call("delete_object", on_wait=patience, Key=key)

    def abort(self) -> None:
        """What could not be removed is found again by the handle, and :meth:`S3Store.reap` says so."""
        with contextlib.suppress(ArchiveError):
            self._end()

    def _end(self) -> None:
        """Raises when the upload is left: the handle of the next name would take the place of this one's."""
        if self._over:
            return
        self._over = True
        flying = self._parts.stop()
        with _bounded() as patience:
            abort_upload(self._client, self._key, self._id, patience)
            if flying:
                self._parts.settle(SETTLE)
                abort_upload(self._client, self._key, self._id, patience)


class _Creation:
    """Begins an upload. One whose answer was lost is looked for and ended, or nobody would know its id."""

    def __init__(self, client: S3Client, key: str, protection: Protection) -> None:
        self._client, self._key, self._protection = client, key, protection
        self._doubt = False
        self._before: set[str] = set()

    def run(self, on_wait: Callable[[], None]) -> str:
        self._before = set(uploads_of(self._client, self._key, on_wait))
        flight = self._client.start(self._try)
        try:
            return flight.wait(on_wait)
        except BaseException:
            self._take_back(flight)
            raise

    def _try(self) -> str:
        if self._doubt:
            self._end_lost(nothing)
        self._doubt = True
        try:
            answer = self._client.ask("create_multipart_upload", Key=self._key, **self._protection.parameters)
        except ArchiveError as error:
            self._doubt = is_transient(error)
            raise
        self._protection.require_encrypted(answer)
        return str(answer["UploadId"])

    def _end_lost(self, on_wait: Callable[[], None]) -> None:
        """Those that were not there before are ours, or of one who began in this very moment and gives way."""
        for upload_id in set(uploads_of(self._client.direct, self._key, on_wait)) - self._before:
            abort_upload(self._client.direct, self._key, upload_id, on_wait)

    def _take_back(self, flight: Flight[str]) -> None:
        flight.settled(SETTLE)
        if self._doubt:
            with _bounded() as patience, contextlib.suppress(ArchiveError):
                self._end_lost(patience)


@contextlib.contextmanager
def _bounded() -> Iterator[Callable[[], None]]:
    until = time.monotonic() + PATIENCE

    def wait() -> None:
        if time.monotonic() > until:
            raise S3UnreachableError(f"S3 did not answer within {PATIENCE:.0f} seconds.")

    yield wait


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


def if_absent(client: S3Client, operation: str, **params: Any) -> dict[str, Any]:
    """One try at creating what is not there, on servers that can; the claim of the name covers the others."""
    try:
        return client.ask(operation, IfNoneMatch="*", **params)
    except S3UnsupportedError:
        return client.ask(operation, **params)
