"""The log of one attempt, stored as it comes: whole lines, secrets masked, capped.

Up to the cap every line is kept; past it the newest lines are, so that the line which says how it ended is there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F

from schedules.engine.redaction import Redactor
from schedules.engine.storable import storable
from schedules.executors.base import Stream
from schedules.models import Run, RunLogChunk

Line = tuple[int, Stream, str]

LONGEST_LINE = 8192
FLUSH_BYTES = 64 * 1024
TAIL_BYTES = 64 * 1024


class RunLog:
    """Collects lines from any thread; :meth:`flush` writes them. One writer at a time writes a chunk."""

    def __init__(self, *, run_id: int, attempt: int, used_bytes: int, limit_bytes: int, redact: Redactor) -> None:
        self._run_id, self._attempt = run_id, attempt
        self._left = max(0, limit_bytes - used_bytes)
        self._redact = redact
        self._partial: dict[Stream, str] = {}
        self._lines: list[Line] = []
        self._chunk: list[Line] = []
        self._tail: deque[Line] = deque()
        self._pending_bytes = self._tail_bytes = self._dropped = self._number = 0
        self._lock, self._writing = threading.Lock(), threading.Lock()

    def add(self, text: str, stream: Stream) -> None:
        """Take text that may hold several lines or part of one; the rest of a line is waited for."""
        with self._lock:
            *whole, rest = (self._partial.get(stream, "") + text).split("\n")
            for line in whole:
                self._take(line.rstrip("\r"), stream)
            while len(rest) > LONGEST_LINE:
                self._take(rest[:LONGEST_LINE], stream)
                rest = rest[LONGEST_LINE:]
            self._partial[stream] = rest
        if self._pending_bytes >= FLUSH_BYTES:
            self._relieve()

    def _relieve(self) -> None:
        """Whoever writes faster than the database takes it waits here, so that memory stays bounded."""
        try:
            self.flush()
        except (DatabaseError, InterfaceError):
            return  # the lines stay and go with the next flush

    def line(self, text: str, stream: Stream) -> None:
        """Take whole lines, whatever part of a line waits in the stream."""
        with self._lock:
            for each in text.splitlines() or [""]:
                self._take(each, stream)

    def flush(self) -> None:
        """Write what came since the last time.

        A chunk that failed is written again as it was, under its number: when only the answer was lost, it is there.
        """
        with self._writing:
            while self._chunk or self._lines:
                if not self._chunk:
                    with self._lock:
                        self._chunk, self._lines, self._pending_bytes = self._lines, [], 0
                self._write(self._chunk)
                self._chunk = []

    def close(self) -> None:
        """Write the rest: unfinished lines, and the tail of a log that was capped. May be called again."""
        with self._lock:
            for stream, rest in self._partial.items():
                if rest:
                    self._take(rest, stream)
            self._partial = {}
            self._lines += self._closing_lines()
        self.flush()

    def _closing_lines(self) -> Iterator[Line]:
        if self._dropped:
            text = f"… {self._dropped} lines are left out: the log of a run is capped (LOG_LIMIT_BYTES)."
            yield (_now_ms(), "system", text)
            self._dropped = 0
        yield from self._tail
        self._tail.clear()

    def _take(self, text: str, stream: Stream) -> None:
        for start in range(0, max(1, len(text)), LONGEST_LINE):
            self._keep((_now_ms(), stream, self._redact(storable(text[start : start + LONGEST_LINE]))))

    def _keep(self, line: Line) -> None:
        size = len(line[2]) + 1
        if self._left > 0:
            self._left -= size
            self._pending_bytes += size
            self._lines.append(line)
            return
        self._tail.append(line)
        self._tail_bytes += size
        while self._tail_bytes > TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft()[2]) + 1
            self._dropped += 1

    def _write(self, lines: list[Line]) -> None:
        size = sum(len(text) + 1 for _, _, text in lines)
        with transaction.atomic():
            _, created = RunLogChunk.objects.get_or_create(
                run_id=self._run_id, attempt=self._attempt, number=self._number, defaults={"lines": lines}
            )
            if created:
                Run.objects.filter(pk=self._run_id).update(log_bytes=F("log_bytes") + size)
        self._number += 1


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
