"""The child process: reads one request, does it, answers in lines of JSON.

Its standard output is also its lifeline: when the parent is gone, the next line fails and the work ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from backups.archive.errors import ArchiveError, DiskFullError, EndedEarlyError, is_disk_full
from backups.sqlite.errors import WorkCrashedError
from backups.sqlite.places import unreadable

#: What a parent may ask for: a module and its function.
OPERATIONS = {
    "find": ("findwork", "find"),
    "copy": ("copywork", "copy"),
    "check": ("checkwork", "check"),
    "statistics": ("statisticswork", "statistics"),
    "vacuum": ("vacuumwork", "vacuum"),
    "recover": ("recoverwork", "recover"),
    "recover_by_program": ("recoverprogram", "recover_by_program"),
}
#: Bytes of address space: a hostile schema may compute a gigabyte out of nothing.
_MOST_MEMORY = 2 * 1024**3
#: Seconds between two signs of life, and SQLite's steps between two looks at the clock.
_BEAT, _STEPS = 0.25, 10_000


class Line:
    """The child's way to its parent."""

    def __init__(self) -> None:
        self._told = time.monotonic()
        self._ending = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True

    def tell(self, event: Mapping[str, Any]) -> None:
        """Raises ``EndedEarlyError`` when nobody listens, or when asked to end."""
        self._told = time.monotonic()
        try:
            _write(event)
        except OSError as error:
            self._ending = True
            raise EndedEarlyError("The process that asked for the work is gone.") from error
        if self._ending:
            raise EndedEarlyError("The work was asked to end.")

    def progress(self, done: int, total: int) -> None:
        self.tell({"progress": [done, total]})

    def beat(self) -> None:
        """A sign of life now and then; raises as :meth:`tell` does."""
        if self._ending or time.monotonic() - self._told > _BEAT:
            self.tell({"alive": True})

    def watch(self, connection: sqlite3.Connection) -> None:
        """Let a statement that takes long be interrupted."""
        connection.set_progress_handler(self._interrupt, _STEPS)

    def _interrupt(self) -> int:
        try:
            self.beat()
        except EndedEarlyError:
            return 1
        return 0


def _write(event: Mapping[str, Any]) -> None:
    data = json.dumps(event).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    line = Line()
    module, name = OPERATIONS[sys.argv[2]]
    request = json.loads(sys.stdin.buffer.read())
    work: Callable[[Mapping[str, Any], Line], Mapping[str, Any]]
    work = getattr(importlib.import_module(f"backups.sqlite.{module}"), name)
    with contextlib.suppress(OSError):  # nobody listens any more
        _write(_answer(work, request, line))


def _answer(
    work: Callable[[Mapping[str, Any], Line], Mapping[str, Any]],
    request: Mapping[str, Any],
    line: Line,
) -> Mapping[str, Any]:
    try:
        return {"result": work(request, line)}
    except ArchiveError as error:
        return {"error": error.code, "message": str(error)}
    except OSError as error:
        told = _of_system(error, str(request.get("name", "The folder")))
        return {"error": told.code, "message": str(told)}
    except MemoryError:
        return {"error": WorkCrashedError.code, "message": _memory(request)}
    except Exception as error:  # noqa: BLE001 - the parent raises it with these words
        shown = f"{type(error).__name__}: {error}"
        return {"error": WorkCrashedError.code, "message": f"{request.get('name', 'The database')}: {shown[:500]}"}


def _of_system(error: OSError, name: str) -> ArchiveError:
    if is_disk_full(error):
        return DiskFullError(f"The disk became full while {name} was being worked on: free some space, then try again.")
    return unreadable(str(error.filename or name), error)


def _memory(request: Mapping[str, Any]) -> str:
    return (
        f"{request.get('name', 'The database')} needs more than {_MOST_MEMORY // 1024**3} GiB of memory to be worked "
        "on: its schema seems made for that. Look at it before you trust the agent."
    )
