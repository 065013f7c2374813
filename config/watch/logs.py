"""The children's log files: capped, and shown when a child fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3


def rotate(path: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Move a log that grew too large aside, keeping the newest few.

    The file is copied and emptied, not renamed, because its child holds it open. What is written between the
    two is lost: a few lines of a log, against a full disk.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return
    except FileNotFoundError:
        return
    for number in range(KEPT - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)


def tail(path: Path, *, lines: int = 15) -> str:
    """The last lines of the file, indented, for the terminal."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
