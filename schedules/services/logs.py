"""Reading a run's log: line by line, from where the reader left off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from schedules.models import Run, RunLogChunk


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line: when it came (UTC), from which attempt and stream."""

    at: datetime
    attempt: int
    stream: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Lines, and the cursor that continues after them."""

    lines: list[LogLine]
    cursor: str


def log_page(run: Run, *, after: str = "", chunks: int = 200) -> Page:
    """The lines after a cursor that an earlier page gave; empty: from the start. An unreadable cursor starts anew."""
    rows = list(RunLogChunk.objects.filter(run=run, pk__gt=_chunk_id(after)).order_by("pk")[:chunks])
    lines = [
        LogLine(at=datetime.fromtimestamp(ms / 1000, tz=UTC), attempt=row.attempt, stream=stream, text=text)
        for row in rows
        for ms, stream, text in row.lines
    ]
    if not rows and not after and not log_is_kept(run):
        return Page(lines=[_no_longer_kept(run)], cursor="0")
    return Page(lines=lines, cursor=str(rows[-1].pk) if rows else after)


def _no_longer_kept(run: Run) -> LogLine:
    text = "The log of this run is no longer kept (housekeeping)."
    return LogLine(at=run.finished_at or run.created_at, attempt=run.attempt, stream="system", text=text)


def log_lines(run: Run) -> Iterator[LogLine]:
    """Every line there is, in bounded memory."""
    page = log_page(run)
    while page.lines:
        yield from page.lines
        page = log_page(run, after=page.cursor)


def log_is_kept(run: Run) -> bool:
    """False when the run had a log and housekeeping has removed it."""
    return run.log_bytes == 0 or RunLogChunk.objects.filter(run=run).exists()


def _chunk_id(cursor: str) -> int:
    return int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else 0  # noqa: PLR2004 - bigint
