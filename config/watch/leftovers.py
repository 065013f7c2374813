"""Processes of a former watch on the same data folder that outlived it.

The kernel ends the children of a killed supervisor (``child.spawn``), so this is the second net: for what
changed its session or was being stopped when the machine's memory ran out.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from config.watch.child import MARKER
from config.watch.terminal import say

_PROC = Path("/proc")


def end(data: Path, *, grace: float = 8.0) -> None:
    """End them, politely first. Only for the holder of the folder's lock: then no watch is alive."""
    found = find(data)
    if not found:
        return
    say(f"Ending {len(found)} processes that an earlier watch left behind: {', '.join(map(str, found))}")
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while (found := find(data)) and time.monotonic() < deadline:
        time.sleep(0.1)
    _signal(found, signal.SIGKILL)


def find(data: Path) -> list[int]:
    """Process ids that carry the marker of this data folder; none where there is no /proc."""
    wanted = f"{MARKER}={data}".encode()
    pids = (int(entry.name) for entry in _PROC.glob("[0-9]*") if entry.name.isdigit())
    return sorted(pid for pid in pids if pid != os.getpid() and wanted in _environment(pid))


def _environment(pid: int) -> list[bytes]:
    with suppress(OSError):  # ended meanwhile, or another user's
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    return []


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
