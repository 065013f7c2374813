"""What pydantic finds, in words: the field, the value, and what would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from schedules.exchange.problems import Problem

_EXPECTED = {
    "bool_type": "has to be true or false",
    "int_type": "has to be a whole number",
    "string_type": "has to be text; put it in quotes",
    "dict_type": "has to be a mapping of names to values",
    "tuple_type": "has to be a list",
    "greater_than_equal": "has to be 0 or more",
    "string_too_long": "is too long",
    "less_than_equal": "is too large",
}
_LONGEST = 60


def field_problems(error: ValidationError, *, name: str, line: int, lines: Mapping[str, int]) -> list[Problem]:
    """One for each field at fault. ``lines``: where a field stands; what stands nowhere is put to the job's line."""
    return [_problem(each, name=name, line=line, lines=lines) for each in error.errors()]


def _problem(error: Any, *, name: str, line: int, lines: Mapping[str, int]) -> Problem:
    field = str(error["loc"][0]) if error["loc"] else ""
    return Problem(line=lines.get(field, line), name=name, text=_text(field, error))


def _text(field: str, error: Any) -> str:
    reason = _EXPECTED.get(error["type"], error["msg"].removeprefix("Value error, "))
    if not field:
        return str(reason)
    if error["type"] == "missing":
        return f"{field} is missing"
    return f"{field} {_shown(error['input'])} {reason}"


def _shown(value: object) -> str:
    words = {"None": "(nothing)", "True": "true", "False": "false"}
    text = f'"{value}"' if isinstance(value, str) else words.get(str(value), str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
