"""Text that any database takes: agents are hostile input, and PostgreSQL refuses NUL, everybody half a surrogate."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with what can't be stored replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def storable_json(value: Any) -> Any:
    """The same for every text in a JSON value, keys included."""
    return mapped_texts(value, storable)


def mapped_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with every text in it changed, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(str(key)): mapped_texts(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [mapped_texts(each, change) for each in value]
    return value
