"""The parts of an upload: a few under way at once, each compared with what the server says it stored."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from backups.archive.errors import S3FailedError
from backups.archive.s3client import S3Client
from backups.archive.s3errors import S3BusyError
from backups.archive.s3retry import Flight
from backups.archive.settings import KMS, MIB

#: S3 takes 10,000 parts; the later ones of a large archive are four times as large.
SMALL_PARTS, MOST_PARTS, GROWTH = 5_000, 10_000, 4
#: Parts under way at once, and their bytes: large ones go one by one, so that memory stays bounded.
FLYING, FLYING_BYTES = 3, 32 * MIB
_MD5 = re.compile("[0-9a-f]{32}")


class Parts:
    """Sends parts in order and keeps at most a few under way. Not thread-safe: one writer."""

    def __init__(self, client: S3Client, key: str, upload_id: str, on_wait: Callable[[], None]) -> None:
        self._client, self._on_wait = client, on_wait
        self._upload = {"Key": key, "UploadId": upload_id}
        self._flying: deque[tuple[int, Flight[str]]] = deque()
        self._stored: list[dict[str, Any]] = []
        self._md5s: dict[int, bytes] = {}
        self.count = 0

    @property
    def size(self) -> int:
        """Bytes of the next part."""
        part = self._client.settings.part_size
        return part if self.count < SMALL_PARTS else GROWTH * part

    def send(self, body: bytearray) -> None:
        """Waits only while too much is under way. ``body`` must not be changed any more."""
        while self._flying and not self._has_room(len(body)):
            self._land()
        if self.count >= MOST_PARTS:
            raise S3FailedError(
                f"The archive needs more than the {MOST_PARTS} parts of an upload: leave something out."
            )
        self.count += 1
        number = self.count
        self._flying.append((len(body), self._client.start(lambda: self._put(number, body))))

    def _has_room(self, size: int) -> bool:
        flying = sum(bytes_ for bytes_, _ in self._flying)
        return len(self._flying) < FLYING and flying + size <= FLYING_BYTES

    def _land(self) -> None:
        """Wait for the oldest part under way."""
        tag = self._flying[0][1].wait(self._on_wait)
        self._flying.popleft()
        self._stored.append({"PartNumber": len(self._stored) + 1, "ETag": tag})

    def land_all(self) -> list[dict[str, Any]]:
        while self._flying:
            self._land()
        return self._stored

    @property
    def whole_tag(self) -> str:
        """The ETag of an object of all these parts, as S3 makes it, and most servers after it."""
        joined = b"".join(self._md5s[number] for number in range(1, self.count + 1))
        return f'"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{self.count}"'

    def stop(self) -> bool:
        """Ends the retries of what is under way; False when nothing was."""
        for _, flight in self._flying:
            flight.ended.set()
        return any(not flight.settled(0) for _, flight in self._flying)

    def settle(self, seconds: float) -> None:
        """Wait at most so long for what is under way."""
        until = time.monotonic() + seconds
        for _, flight in self._flying:
            flight.settled(max(0.0, until - time.monotonic()))

    def _put(self, number: int, body: bytearray) -> str:
        """In the part's own thread; raises what makes the part be sent again."""
        self._md5s[number] = md5 = hashlib.md5(body, usedforsecurity=False).digest()
        answer = self._client.ask(
            "upload_part",
            PartNumber=number,
            Body=body,
            ContentMD5=base64.b64encode(md5).decode(),
            **self._upload,
        )
        if self._client.settings.sse != KMS and not _agrees(answer, md5.hex()):
            raise S3BusyError(
                f"S3 at {self._client.settings.place} stored part {number} of {self._upload['Key']} differently from "
                "what was sent (its ETag is another one). Nothing was published: check the server and what stands "
                "before it, then try again.",
            )
        # botocore leaves the request in a cycle of references: its bytes would stay until a full collection.
        with contextlib.suppress(BufferError):
            body.clear()
        return str(answer["ETag"])


def content_md5(body: bytes | bytearray) -> str:
    """As HTTP's header has it. With it the server checks what arrives; with an object lock S3 insists on it."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _agrees(answer: Mapping[str, Any], md5: str) -> bool:
    """Whether the ETag is the MD5 of what was sent; with KMS, and on some servers, it never is one."""
    tag = str(answer["ETag"]).strip('"').lower()
    if str(answer.get("ServerSideEncryption", "")).startswith("aws:kms") or not _MD5.fullmatch(tag):
        return True
    return tag == md5
