"""What crashed processes left in S3 and nobody else would ever find: uploads without an end, checksums alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backups.archive.errors import S3UnsupportedError, UploadGoneError
from backups.archive.naming import CHECKSUM_SUFFIX, is_archive_name
from backups.archive.s3client import S3Client
from backups.archive.s3store import clean_prefix
from backups.archive.s3upload import abort_upload, size_of
from backups.archive.settings import S3Settings
from backups.archive.stores import nothing

#: Items per request of a listing; the most that S3 gives.
PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Swept:
    """One thing that was removed. ``upload_id`` is empty for a checksum; ``since`` is aware, in UTC."""

    key: str
    upload_id: str
    since: datetime


def sweep_uploads(
    settings: S3Settings,
    prefix: str,
    older_than: timedelta,
    *,
    keep: AbstractSet[str],
    on_wait: Callable[[], None] = nothing,
) -> list[Swept]:
    """Abort the uploads below ``prefix`` that began more than ``older_than`` ago, but for the ids in ``keep``,
    which live runs hold; then delete as old checksums whose archive is neither there nor on its way.

    Only what has an archive's name is touched: a bucket may be shared. Ages are told by the server's clock.
    Raises what the server says; what was swept until then is swept.
    """
    with closing(S3Client(settings)) as client:
        sweeper = _Sweeper(client, clean_prefix(prefix), older_than, on_wait)
        uploads = list(sweeper.uploads())
        going_on = {upload.key for upload in uploads if upload.upload_id in keep or not sweeper.is_old(upload)}
        stray = [upload for upload in uploads if upload.upload_id not in keep and sweeper.is_old(upload)]
        swept = [upload for upload in stray if abort_upload(client, upload.key, upload.upload_id, on_wait)]
        return swept + list(sweeper.sweep_checksums(going_on))


class _Sweeper:
    def __init__(self, client: S3Client, prefix: str, older_than: timedelta, on_wait: Callable[[], None]) -> None:
        self._client, self._prefix, self._on_wait = client, prefix, on_wait
        self._older_than = older_than
        self._now = datetime.now(UTC)

    def is_old(self, found: Swept) -> bool:
        return self._now - found.since >= self._older_than

    def _ask(self, operation: str, **params: Any) -> dict[str, Any]:
        answer = self._client.call(operation, on_wait=self._on_wait, Prefix=self._prefix, **params)
        self._now = _clock(answer) or self._now
        return answer

    def uploads(self) -> Iterator[Swept]:
        """None where the server knows no such list, and in a bucket of rclone's that never had one."""
        more: dict[str, str] = {}
        while True:
            try:
                page = self._ask("list_multipart_uploads", MaxUploads=PAGE, **more)
            except (S3UnsupportedError, UploadGoneError):
                return
            for item in page.get("Uploads", []):
                if _is_ours(item["Key"]):
                    since = item["Initiated"].astimezone(UTC)
                    yield Swept(key=item["Key"], upload_id=item["UploadId"], since=since)
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}

    def sweep_checksums(self, going_on: AbstractSet[str]) -> Iterator[Swept]:
        for found in self._alone():
            archive = found.key.removesuffix(CHECKSUM_SUFFIX)
            if archive in going_on or not self.is_old(found):
                continue
            # Asked anew: between two pages of the listing it may have appeared.
            if size_of(self._client, archive, self._on_wait) is None:
                self._client.call("delete_object", on_wait=self._on_wait, Key=found.key)
                yield found

    def _alone(self) -> list[Swept]:
        """Checksums without an archive. Sorted as keys are, an archive comes just before its checksum."""
        alone: list[Swept] = []
        before = ""
        for item in self._objects():
            key = item["Key"]
            archive = key.removesuffix(CHECKSUM_SUFFIX)
            if archive != key and _is_ours(archive) and archive != before:
                alone.append(Swept(key=key, upload_id="", since=item["LastModified"].astimezone(UTC)))
            if _is_ours(key):
                before = key
        return alone

    def _objects(self) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", MaxKeys=PAGE, **more)
            yield from page.get("Contents", [])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}


def _is_ours(key: str) -> bool:
    return is_archive_name(key.rpartition("/")[2])


def _clock(answer: dict[str, Any]) -> datetime | None:
    """The server's time: ages must not depend on how well our own clock is set."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        whole = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return whole + timedelta(seconds=1)  # the header cuts the fraction off
