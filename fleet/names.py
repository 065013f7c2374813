"""Names that people type: their shape, and a hint when one was mistyped."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from fleet.errors import InvalidInput

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def check_slug(value: str, *, field: str = "slug") -> None:
    """Raise :class:`InvalidInput` unless ``value`` is lower-case letters, digits, ``-`` and ``_``."""
    if not SLUG.fullmatch(value):
        raise InvalidInput(
            f"{value!r} is not a name: use 1 to 64 lower-case letters, digits, '-' and '_', "
            "starting with a letter or digit, for example 'night-agent'.",
            field=field,
        )


def near(value: str, known: Iterable[str]) -> str:
    """`` Did you mean 'agent'?`` or nothing; starts with a space, to follow a sentence."""
    matches = difflib.get_close_matches(value, list(known), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
