"""A JSON array read item by item, so that each knows its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from schedules.exchange.problems import Problem, Refused

_BLANK = re.compile(r"[ \t\n\r]*")


def json_items(text: str) -> Iterator[tuple[int, Any]]:
    """Each item of the array with its line; a single object is an array of one. Raises :class:`Refused`."""
    reader = _Reader(text)
    if reader.sign() != "[":
        yield reader.line, reader.item()
    else:
        reader.skip()
        while reader.sign() != "]":
            yield reader.line, reader.item()
            if reader.sign() == ",":
                reader.skip()
            elif reader.sign() != "]":
                raise reader.refused("a comma or ] is expected here")
        reader.skip()
    if reader.sign():
        raise reader.refused("the file should end here")


class _Reader:
    """A place in the text: always before something that is no blank, or at the end."""

    def __init__(self, text: str) -> None:
        self._text, self._position, self.line = text, 0, 1
        self._go_to(0)

    def sign(self) -> str:
        return self._text[self._position : self._position + 1]

    def skip(self) -> None:
        self._go_to(self._position + 1)

    def item(self) -> Any:
        try:
            item, end = _DECODER.raw_decode(self._text, self._position)
        except json.JSONDecodeError as error:
            self._go_to(error.pos)
            raise self.refused(error.msg[:1].lower() + error.msg[1:]) from error
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise self.refused(reason) from error
        self._go_to(end)
        return item

    def refused(self, reason: str) -> Refused:
        return Refused([Problem(line=self.line, text=f"is not JSON: {reason}")])

    def _go_to(self, position: int) -> None:
        blank = _BLANK.match(self._text, position)
        end = blank.end() if blank else position
        self.line += self._text.count("\n", self._position, end)
        self._position = end


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
