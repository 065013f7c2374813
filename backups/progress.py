"""How far a run is: a line in its log now and then, and its end when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable

from backups.archive.terminal import human_size
from schedules.executors.base import RunContext

#: Seconds between two lines.
_EVERY = 2.0


def telling(context: RunContext, words: Callable[[int, int], str], *, total: int = 0) -> Callable[[int, int], None]:
    """For ``Hooks.on_chunk``: ``words`` of the bytes that were read and written so far, their rate, and, where it is
    known how many there are (``total``), the time left. Raises ``Stopped``."""
    began = time.monotonic()
    next_line = began + _EVERY

    def chunk(read: int, written: int) -> None:
        nonlocal next_line
        context.check()
        if (now := time.monotonic()) >= next_line:
            next_line = now + _EVERY
            context.log(f"{words(read, written)}{pace(read, total, now - began)}\n")

    return chunk


def pace(done: int, total: int, seconds: float) -> str:
    """``, 85.0 MiB/s, 12 s left``."""
    rate = done / seconds if seconds > 0 else 0
    left = f", {(total - done) / rate:.0f} s left" if rate and total > done else ""
    return f", {human_size(int(rate))}/s{left}"
