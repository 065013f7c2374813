"""Speaking to a person at a terminal, and plainly to everything else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Self

_GREEN, _PLAIN = "\x1b[32m", "\x1b[0m"
_CLEAR = "\r\x1b[K"
_EVERY = 0.2
_STEP = 1024


def green(text: str) -> str:
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        return f"{_GREEN}{text}{_PLAIN}"
    return text


def human_size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} TiB"


def say(text: str) -> None:
    """Data, for whoever or whatever reads stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """A message, for people, on stderr."""
    sys.stderr.write(f"[S3] {text}\n")
    sys.stderr.flush()


class Progress:
    """A line on stderr that is rewritten as bytes go by, where someone can see it. ``check`` may raise."""

    def __init__(self, title: str, check: Callable[[], None]) -> None:
        self._title, self._check = title, check
        self._shown = sys.stderr.isatty()
        self._last = 0.0

    def chunk(self, read: int, written: int) -> None:
        self._check()
        now = time.monotonic()
        if self._shown and now - self._last >= _EVERY:
            self._last = now
            stored = f", {human_size(written)} stored" if written else ""
            sys.stderr.write(f"{_CLEAR}{self._title}: {human_size(read)} read{stored}")
            sys.stderr.flush()

    def wait(self) -> None:
        self._check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._last:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
