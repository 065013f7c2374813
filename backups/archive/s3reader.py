"""Reading an archive from S3: resumes by itself, and never passes off a part, or a mixture, as the whole."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from backups.archive.background import POLL
from backups.archive.errors import ArchiveError, EndedEarlyError, NameTakenError, S3FailedError, S3UnsupportedError
from backups.archive.s3client import S3Client
from backups.archive.s3errors import S3BusyError, S3RangeError, is_transient, translate
from backups.archive.s3retry import Retry
from backups.archive.settings import MIB
from backups.archive.stores import nothing

CHUNK = 256 * 1024
#: Bytes that are read ahead of who reads.
AHEAD = 4 * MIB
#: How many times in a row a stream may break without a single byte; one that moves on may break for ever.
STANDSTILL = Retry(tries=6)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class S3Reader:
    """A thread fetches ahead, so ``read`` never waits longer than ``on_wait`` lets it.

    ``ArchiveMissingError`` comes from the constructor. Reading from ``offset`` at or behind the end reads nothing.
    """

    def __init__(
        self,
        client: S3Client,
        key: str,
        *,
        offset: int = 0,
        on_wait: Callable[[], None] = nothing,
    ) -> None:
        self._source = _Source(client, key, offset)
        self._on_wait = on_wait
        self._moved = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._head = memoryview(b"")
        self._waiting = 0
        self._done = self._closed = False
        self._error: BaseException | None = None
        self._ended = self._source.ended
        client.run(self._source.open, on_wait)
        self._thread = threading.Thread(target=self._run, daemon=True, name="archive-download")
        self._thread.start()

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none only at the archive's real end."""
        if not self._head:
            self._head = memoryview(self._next_chunk())
        data = bytes(self._head[:size])
        self._head = self._head[size:]
        return data

    def _next_chunk(self) -> bytes:
        while True:
            with self._moved:
                if self._closed:
                    raise EndedEarlyError("This archive's reader was closed.")
                if self._chunks:
                    chunk = self._chunks.popleft()
                    self._waiting -= len(chunk)
                    self._moved.notify_all()
                    return chunk
                if self._error:
                    raise self._error
                if self._done:
                    return b""
                self._moved.wait(POLL)
            self._on_wait()

    def close(self) -> None:
        """A thread that waits for a silent server ends with its time-out."""
        self._ended.set()
        with self._moved:
            self._closed = True
            self._head = memoryview(b"")
            self._chunks.clear()
            self._moved.notify_all()

    def _run(self) -> None:
        try:
            for chunk in self._source.chunks():
                if not self._hand_over(chunk):
                    return
            error = None
        except BaseException as caught:  # noqa: BLE001 - handed to the one who reads
            error = caught
        finally:
            self._source.close()
        with self._moved:
            self._error, self._done = error, True
            self._moved.notify_all()

    def _hand_over(self, chunk: bytes) -> bool:
        """False when nobody reads any more."""
        with self._moved:
            while self._waiting >= AHEAD and not self._closed:
                self._moved.wait()
            self._chunks.append(chunk)
            self._waiting += len(chunk)
            self._moved.notify_all()
            return not self._closed


class _Source:
    """The archive's bytes from ``offset`` on, over as many answers as it takes."""

    def __init__(self, client: S3Client, key: str, offset: int) -> None:
        self._client, self._key, self._position = client, key, offset
        self._total: int | None = None
        self._tag = ""
        self._body: Any = None
        self.ended = threading.Event()

    def open(self) -> None:
        """Ask from here on; one try."""
        asked: dict[str, Any] = {"Key": self._key}
        if self._position:
            asked["Range"] = f"bytes={self._position}-"
        if self._tag:
            asked["IfMatch"] = self._tag
        try:
            answer = self._client.ask("get_object", **asked)
        except NameTakenError as error:  # what a condition that failed means everywhere else
            raise self._replaced() from error
        except S3RangeError:
            self._total = self._position
            return
        self._body = answer["Body"]
        try:
            self._accept(answer)
        except BaseException:
            self.close()
            raise

    def _accept(self, answer: dict[str, Any]) -> None:
        start, total = _extent(answer)
        if start != self._position:
            raise S3UnsupportedError(
                f"S3 at {self._client.settings.place} does not answer with the part of {self._key} that was asked for.",
            )
        tag = str(answer.get("ETag", ""))
        if self._total is not None and (total, tag) != (self._total, self._tag):
            raise self._replaced()
        self._total, self._tag = total, tag

    def _replaced(self) -> ArchiveError:
        return S3FailedError(
            f"{self._key} was replaced by another object while it was read. Nothing was restored: try again.",
        )

    def chunks(self) -> Iterator[bytes]:
        pauses = STANDSTILL.pauses()
        while True:
            try:
                while chunk := self._next():
                    pauses = STANDSTILL.pauses()
                    yield chunk
            except ArchiveError as error:
                pause = next(pauses, None)
                if pause is None or not is_transient(error):
                    raise
                if self.ended.wait(pause):
                    return
            else:
                return

    def _next(self) -> bytes:
        """The next bytes; none at the real end. An answer that broke off is given up, and asked for anew."""
        if self._total is not None and self._position >= self._total:
            return b""
        try:
            if self._body is None:
                self.open()
            data = self._read()
        except BaseException:
            self.close()
            raise
        self._position += len(data)
        return data

    def _read(self) -> bytes:
        if self._body is None:
            return b""
        try:
            data: bytes = self._body.read(CHUNK)
        except Exception as error:
            raise translate(error, self._client.settings) from error
        if not data:
            raise S3BusyError(
                f"S3 at {self._client.settings.place} sent {self._position:,} bytes of {self._key} and said that it "
                f"has {self._total or 0:,}. Nothing was restored: try again.",
            )
        return data

    def close(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            with contextlib.suppress(Exception):
                body.close()


def _extent(answer: dict[str, Any]) -> tuple[int, int]:
    """Where an answer starts, and how long the whole object is."""
    match = _RANGE.fullmatch(str(answer.get("ContentRange", "")))
    if match:
        return int(match[1]), int(match[2])
    if "ContentLength" not in answer:
        raise S3FailedError("S3 did not say how long the archive is: it could end early and nobody would see it.")
    return 0, int(answer["ContentLength"])
