"""How a command speaks: tables and JSON on stdout, messages on stderr, colour only on a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# Piped output is for machines and log files: it is never cut or wrapped.
PIPED_WIDTH = 10_000

#: What a terminal obeys: sequences (some end in BEL or ST, or not at all), and single control characters but for
#: tab and newline. A container's line could set a title, write to the clipboard or paint over other lines.
_CONTROLS = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_RESET = "\x1b[0m"


class Screen:
    """Both streams of one command. ``NO_COLOR`` is honoured by Rich."""

    def __init__(self) -> None:
        self._out = _console(sys.stdout)
        self._err = _console(sys.stderr)
        self.interactive = sys.stdin.isatty() and sys.stderr.isatty()
        self.live = sys.stderr.isatty()

    def data(self, text: str) -> None:
        """A line of data, as it is; on a terminal without what would steer it."""
        sys.stdout.write(f"{_shown(text, sys.stdout)}\n")
        sys.stdout.flush()

    def json(self, value: Any) -> None:
        self.data(json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def say(self, text: str) -> None:
        """A message for the person."""
        self._err.print(_text(text, self._err), soft_wrap=True)

    def error(self, text: str) -> None:
        self._err.print(_text(f"Error: {text}", self._err, style="red"), soft_wrap=True)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*(_text(cell, self._out) for cell in row))
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
        self._err.print(_text(f"{question} [y/N] ", self._err), end="")
        return input().strip().lower() in {"y", "yes"}


def _shown(text: str, stream: Any) -> str:
    """On a terminal: without what steers it, except for colours, which end with the text."""
    if not stream.isatty():
        return text
    shown = _CONTROLS.sub(lambda match: match["colour"] or "", text)
    last = shown.rfind("\x1b")
    return shown if last < 0 or shown.startswith(_RESET, last) else shown + _RESET


def _text(text: str, console: Console, *, style: str = "") -> Text:
    """Our own messages and tables quote others' words; their colours are ours, so that a width is a width."""
    return Text(_CONTROLS.sub("", text) if console.is_terminal else text, style=style)


def _console(stream: Any) -> Console:
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
