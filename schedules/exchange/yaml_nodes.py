"""YAML to values that know their line.

Stricter than ``yaml.safe_load``, whose scanner it uses: a key stands once, no anchors, aliases or tags, one document,
a bounded depth. ``true``, ``false``, ``null`` and plain numbers mean themselves and all else is text, so that a date
stays what was typed. What readers take in two ways is refused: YAML 1.1's yes, no, on and off, and 1e5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from schedules.exchange.problems import Problem, Refused

DEEPEST = 64
# libyaml when it is there: ten times as fast.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# All of these are numbers or truths in YAML 1.1 too, so that what a standard writer leaves unquoted is read as meant.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,3999})", re.ASCII)
_DECIMAL = re.compile(r"[-+]?[0-9]{1,400}\.[0-9]{0,400}(?:[eE][-+][0-9]{1,4})?", re.ASCII)
_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
_EITHER_WAY = re.compile(r"yes|no|on|off|[-+]?[0-9]+(?:\.[0-9]*)?e[-+]?[0-9]+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Node:
    """``value``: a scalar, a list of nodes, or a dict of nodes by key; ``line`` counts from 1.

    In a mapping the line of an entry is that of its key.
    """

    value: Any
    line: int

    def plain(self) -> Any:
        """Without the lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read_nodes(text: str) -> Node:
    """Raises :class:`Refused` with the line of what can't be read."""
    try:
        return _Builder(yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise Refused([Problem(line=line, text=_words(error, text, line))]) from error
    except yaml.YAMLError as error:
        raise Refused([Problem(text=f"is not YAML: {error}")]) from error


def _words(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.split("\n")
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    # @daily, */5 and %-signs begin something else in YAML.
    value = re.match(r"[^#'\"]*?:\s+([@`%*&!|>].*)", shown.rstrip())
    hint = f'; put the value in quotes: "{value[1]}"' if value else ""
    hint = hint or ("; indent with blanks, not tabs" if "\t" in shown[: len(shown) - len(shown.lstrip())] else "")
    return f"is not YAML: {error.problem or 'it ends too early'}{hint}"


class _Builder:
    """Events to nodes."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events

    def document(self) -> Node:
        next(self._events)  # the stream begins
        if isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise _refused(event, "is empty")
        node = self._node(next(self._events), depth=0)
        next(self._events)  # the document ends
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise _refused(event, "a second document begins here; one file holds one")
        return node

    def _node(self, event: Any, *, depth: int) -> Node:
        _refuse_cleverness(event)
        if depth > DEEPEST:
            raise _refused(event, f"is nested more than {DEEPEST} deep")
        if isinstance(event, yaml.MappingStartEvent):
            return Node(value=self._mapping(depth), line=_line(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(value=list(self._items(depth)), line=_line(event))
        return Node(value=_scalar(event), line=_line(event))

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth=depth + 1)

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = _key(event)
            if key in entries:
                raise _refused(event, f"{key!r} stands here again; it is in line {entries[key].line} already")
            entries[key] = Node(value=self._node(next(self._events), depth=depth + 1).value, line=_line(event))
        return entries


def _key(event: Any) -> str:
    """As it is written: 2024 is a good name for a job."""
    _refuse_cleverness(event)
    if not isinstance(event, yaml.ScalarEvent):
        raise _refused(event, "a name is expected here, not a list or a mapping")
    return str(event.value)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:  # it was quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if is_ambiguous(text):
        way_out = "1.0e+5" if text[-1].isdigit() else "true or false"
        raise _refused(event, f'{text} is text to some readers, to others not: write {way_out}, or "{text}"')
    return text


def is_ambiguous(text: str) -> bool:
    """Whether readers disagree on what it is without quotes."""
    return bool(_EITHER_WAY.fullmatch(text))


def _refuse_cleverness(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
        raise _refused(event, f'anchors and aliases are not read; if text was meant, quote it: "{sign}{event.anchor}"')
    if event.tag is not None:
        raise _refused(event, f"tags ({event.tag}) are not read; leave it out, or quote the text")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _refused(event: Any, text: str) -> Refused:
    return Refused([Problem(line=_line(event), text=text)])
