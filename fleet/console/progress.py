"""How far long work is: a bar with rate and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

#: Seconds between two lines where there is no terminal.
_EVERY = 10.0


class Bar:
    """``at(done)`` as often as one likes; ``total`` is in bytes, 0 where it is not known."""

    def __init__(self, title: str, *, total: int = 0) -> None:
        self._title, self._total = title, total
        self._next = time.monotonic() + _EVERY
        self._progress: Progress | None = None

    def at(self, done: int) -> None:
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=done)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            of = f" of {self._total / 1e6:,.0f}" if self._total else ""
            sys.stderr.write(f"{self._title}: {done / 1e6:,.0f}{of} MB\n")

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            from rich.console import Console  # noqa: PLC0415 - only for a terminal

            self._progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self._progress.add_task(self._title, total=self._total or None)
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
