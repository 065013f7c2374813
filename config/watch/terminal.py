"""What the person at the terminal reads: one line for each happening."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def say(text: str) -> None:
    """Print at once. A terminal that went away must not end the watch."""
    with suppress(OSError, ValueError):
        print(text, flush=True)


def complain(text: str) -> None:
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def shown(path: Path) -> str:
    """The path as the person would type it here: relative when it lies below the working folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def framed(lines: Sequence[str]) -> str:
    """The lines in a box of plain ASCII, which every terminal and log shows alike."""
    width = max(len(line) for line in lines)
    edge = "+" + "-" * (width + 4) + "+"
    return "\n".join([edge, *(f"|  {line.ljust(width)}  |" for line in lines), edge])


def ordinal(number: int) -> str:
    last = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 <= number % 100 <= 20 else last}"  # noqa: PLR2004 - 11th, 12th, 13th
