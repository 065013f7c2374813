"""How far a run is: a line in its log now and then, and its end when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable

from schedules.executors.base import RunContext

#: Seconds between two lines.
_EVERY = 2.0


def telling(context: RunContext, words: Callable[[int, int], str]) -> Callable[[int, int], None]:
    """For ``Hooks.on_chunk``: ``words`` of the bytes that were read and written so far. Raises ``Stopped``."""
    next_line = time.monotonic() + _EVERY

    def chunk(read: int, written: int) -> None:
        nonlocal next_line
        context.check()
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + _EVERY
            context.log(f"{words(read, written)}\n")

    return chunk
