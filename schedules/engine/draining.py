"""A worker that was told to end takes no new messages; what still runs after ``drain_seconds`` is handed back.

Celery's warm shutdown waits for running tasks for ever, and its cold one kills them, which the rescue then takes for
a lost worker. In between stands the keeper of each process, which stops the attempts when this says so. The instant
lies in memory that a pool's children share with their parent, so that it needs neither database nor broker.
"""

from __future__ import annotations

import mmap
import struct
import time

from django.conf import settings

# Mapped when the parent imports this, before it forks: an anonymous map is shared. Zero: nobody drains.
_SHARED = mmap.mmap(-1, mmap.PAGESIZE)
_FORMAT = "d"


def begin() -> None:
    """From now on this worker drains. Told again, it keeps the first instant. Safe in a signal handler."""
    if not is_draining():
        struct.pack_into(_FORMAT, _SHARED, 0, time.monotonic())


def is_draining() -> bool:
    return _since() > 0


def is_over() -> bool:
    """Whether the time to finish has passed, so that what still runs is handed back."""
    return is_draining() and time.monotonic() - _since() >= settings.WATCHBILL.drain_seconds


def reset() -> None:
    """As a process that has just started."""
    struct.pack_into(_FORMAT, _SHARED, 0, 0.0)


def _since() -> float:
    return float(struct.unpack_from(_FORMAT, _SHARED, 0)[0])
