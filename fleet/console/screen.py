"""How a command speaks: tables and JSON on stdout, messages on stderr, colour only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# Piped output is for machines and log files: it is never cut or wrapped.
PIPED_WIDTH = 10_000


class Screen:
    """Both streams of one command. ``NO_COLOR`` is honoured by Rich."""

    def __init__(self) -> None:
        self._out = _console(sys.stdout)
        self._err = _console(sys.stderr)
        self.interactive = sys.stdin.isatty() and sys.stderr.isatty()
        self.live = sys.stderr.isatty()

    def data(self, text: str) -> None:
        """A line of data, as it is."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def json(self, value: Any) -> None:
        self.data(json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def say(self, text: str) -> None:
        """A message for the person."""
        self._err.print(Text(text), soft_wrap=True)

    def error(self, text: str) -> None:
        self._err.print(Text(f"Error: {text}", style="red"), soft_wrap=True)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._out.print(table)

    def fields(self, values: Mapping[str, str]) -> None:
        """A name and a value a line."""
        width = max(len(name) for name in values)
        for name, value in values.items():
            self.data(f"{name.ljust(width)}  {value}")

    def confirm(self, question: str, *, yes: bool) -> bool:
        """Ask on a terminal; elsewhere only ``--yes`` is a yes."""
        if yes:
            return True
        if not self.interactive:
            self.error(f"{question} Add --yes to confirm: there is no terminal to ask on.")
            return False
        self._err.print(Text(f"{question} [y/N] "), end="")
        return input().strip().lower() in {"y", "yes"}


def _console(stream: Any) -> Console:
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
