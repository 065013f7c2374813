"""Archives in S3, under one prefix per agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from backups.archive.errors import ArchiveMissingError, PlaceRefusedError
from backups.archive.naming import CHECKSUM_SUFFIX, is_archive_name, newest_first, parse_checksum, require_archive_name
from backups.archive.s3client import S3Client
from backups.archive.s3protect import remove
from backups.archive.s3reader import S3Reader
from backups.archive.s3upload import S3Upload, abort_upload, size_of, uploads_of
from backups.archive.settings import S3Settings
from backups.archive.stores import Handle, Hooks, Readable, Stored, nothing

_CHECKSUM_BYTES = 4096


class S3Store:
    """``on_wait`` is called while a request is under way and may raise to stop waiting."""

    #: Archives per request of a listing.
    page = 1000

    def __init__(self, settings: S3Settings, prefix: str, *, on_wait: Callable[[], None] = nothing) -> None:
        self._client = S3Client(settings)
        self._prefix = clean_prefix(prefix)
        self._on_wait = on_wait
        self.place = f"s3://{settings.bucket}/{self._prefix} at {settings.place}"

    def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        return self._client.call(operation, on_wait=self._on_wait, **params)

    def archives(self) -> list[Stored]:
        found = [
            Stored(name=name, size=int(item["Size"]), modified=item["LastModified"].astimezone(UTC))
            for item in self._objects()
            # The prefix ends in a slash and the rest must be a name: an agent never sees another's archives.
            if is_archive_name(name := item["Key"].removeprefix(self._prefix))
        ]
        return sorted(found, key=lambda archive: newest_first(archive.name), reverse=True)

    def _objects(self) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            asked = {"Prefix": self._prefix, "Delimiter": "/", "MaxKeys": self.page, **more}
            page = self._call("list_objects_v2", **asked)
            yield from page.get("Contents", [])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _key(self, name: str) -> str:
        return self._prefix + require_archive_name(name)

    def exists(self, name: str) -> bool:
        return size_of(self._client, self._key(name), self._on_wait) is not None

    def begin(self, name: str, hooks: Hooks) -> S3Upload:
        return S3Upload(self._client, self._key(name), hooks)

    def reader(self, name: str, *, offset: int = 0) -> Readable:
        return S3Reader(self._client, self._key(name), offset=offset, on_wait=self._on_wait)

    def checksum(self, name: str) -> str | None:
        try:
            content = self._client.fetch(self._key(name) + CHECKSUM_SUFFIX, _CHECKSUM_BYTES, on_wait=self._on_wait)
        except ArchiveMissingError:
            return None
        return parse_checksum(content)

    def delete(self, name: str) -> None:
        if not self.exists(name):
            raise ArchiveMissingError(f"There is no archive {name} in {self.place}.")
        for key in (self._key(name), self._key(name) + CHECKSUM_SUFFIX):
            remove(self._client, key, self._on_wait)

    def reap(self, handle: Handle) -> bool:
        """An upload whose id never came back is found by its key, where the server can, and may, list uploads."""
        key, wait = str(handle["key"]), self._on_wait
        uploads = [str(handle["upload_id"])] if handle["upload_id"] else uploads_of(self._client, key, wait)
        ended = [abort_upload(self._client, key, upload_id, wait) for upload_id in uploads]
        if size_of(self._client, key, wait) is None:
            self._call("delete_object", Key=key + CHECKSUM_SUFFIX)
        return any(ended)

    def close(self) -> None:
        self._client.close()


def clean_prefix(prefix: str) -> str:
    """``a/b/`` for any spelling of it; empty for the top of the bucket."""
    parts = [part for part in prefix.split("/") if part]
    if any(part in {".", ".."} for part in parts):
        raise PlaceRefusedError(f"'{prefix}' cannot be a prefix: it holds '.' or '..'. Give plain names.")
    return "".join(f"{part}/" for part in parts)
