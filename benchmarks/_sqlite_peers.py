"""The other ways to copy a database that is in use, each in a process of its own that can be given up."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

_BACKUP = """
import sqlite3, sys
source = sqlite3.connect(sys.argv[1], timeout=60)
source.backup(sqlite3.connect(sys.argv[2]), pages=1000)
"""
_VACUUM = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=60).execute("VACUUM INTO ?", (sys.argv[2],))
"""


def commands(source: Path, target: Path) -> dict[str, list[str]]:
    found = {
        "Connection.backup(pages=1000) outside of a transaction": [
            sys.executable,
            "-c",
            _BACKUP,
            str(source),
            str(target),
        ],
        "VACUUM INTO": [sys.executable, "-c", _VACUUM, str(source), str(target)],
    }
    if shutil.which("sqlite3"):
        found["sqlite3 .backup"] = ["sqlite3", str(source), f".backup {target}"]
    return found


def timed(command: list[str], target: Path, give_up: float) -> float | None:
    """Seconds, or None when it was given up. No target is left."""
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            status = process.wait(give_up)
        except subprocess.TimeoutExpired:
            process.kill()
            status = -1
    taken = time.monotonic() - begun
    for path in target.parent.glob(f"{target.name}*"):
        path.unlink()
    return taken if status == 0 else None
