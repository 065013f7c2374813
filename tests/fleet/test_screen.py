"""What reaches a terminal, and what a pipe."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from fleet.console.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr("fleet.console.screen.sys", SimpleNamespace(stdout=screen, stderr=screen, stdin=screen))
    return screen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 夜班\tx", "plain 夜班\tx"),
        ("a\nb", "a\nb"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[38:5:208mred", "\x1b[38:5:208mred\x1b[0m"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;title\x07a\x1b]52;c;aGk=\x1b\\b", "ab"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r0m\x1b\\a\x1b_x\x1b\\b\x1b^y\x1b\\c\x1bXz\x1b\\d", "abcd"),
        ("\x1bcreset\x1b(0lines\x1b=", "resetlines"),
        ("\x9b2Jc1 \x9d0;title\x9c!", "c1 !"),
        ("over\rwritten\b\x00\x07\x7f", "overwritten"),
        ("\x1b]0;never ended", ""),
        ("\x1b[?25l\x1b[>4;2m\x1b[6n\x1b", ""),
        ("\x1b\x1b[2Jx", "x"),
    ],
)
def test_a_terminal_gets_text_and_colours_only(terminal: Terminal, text: str, shown: str) -> None:
    Screen().data(text)
    assert terminal.getvalue() == f"{shown}\n"


def test_messages_and_tables_are_clean_as_well(terminal: Terminal) -> None:
    screen = Screen()
    screen.say("a\x1b[2Jb")
    screen.error("a\x1b]0;x\x07b")
    screen.table(["H"], [["a\x1b[2Jb"]])
    shown = terminal.getvalue()
    assert shown.count("ab") == 3
    assert "\x1b[2J" not in shown
    assert "\x1b]" not in shown


def test_a_pipe_gets_data_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().data("a\x1b[2J\r\x1b[31mb")
    assert capsys.readouterr().out == "a\x1b[2J\r\x1b[31mb\n"
