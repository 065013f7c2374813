"""Files that a command reads and writes; ``-`` is the standard stream."""

from __future__ import annotations

import sys
from pathlib import Path

from fleet.errors import InvalidInput

STANDARD = "-"


def read_file(name: str) -> bytes:
    """Raises ``InvalidInput`` with the reason."""
    if name == STANDARD:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{name} can't be read: {_reason(error)}.", field="file") from error


def write_file(name: str, text: str) -> None:
    """A file that is new is for its owner's eyes only: commands may hold secrets. Raises ``InvalidInput``."""
    path = Path(name)
    try:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{name} can't be written: {_reason(error)}.", field="output") from error


def _reason(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or str(error)).lower()
