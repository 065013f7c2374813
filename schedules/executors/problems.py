"""What is wrong with a payload, in words: the field, the value, and what would do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

#: How pydantic names the branch of a union in the place of an error: ``int``, ``constrained-int``, ``Rules``.
_BRANCH = re.compile(r"int|str|float|bool|[A-Z][a-z]\w*|.*[-\[].*")


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The field (``payload.keep``) and a sentence about it."""
    found = error.errors()
    # Each branch of a union has its own complaint: the one that looked deepest knows best what was meant.
    first = max((each for each in found if each["loc"][:1] == found[0]["loc"][:1]), key=lambda each: len(each["loc"]))
    field = ".".join(["payload", *_names(first["loc"], found)])
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return field, f"{field} is nothing that this executor knows: is it a typo?"
    if first["type"] == "missing":
        return field, f"{field} is missing."
    if first["type"] == "value_error":
        return field, f"{field}: {reason}"
    return field, f"{field} is {first['input']!r}: {reason[:1].lower()}{reason[1:]}."


def _names(place: Sequence[int | str], found: Sequence[ErrorDetails]) -> list[str]:
    """The place without the branches of unions."""
    return [str(part) for depth, part in enumerate(place) if not _is_branch(place[: depth + 1], found)]


def _is_branch(place: Sequence[int | str], found: Sequence[ErrorDetails]) -> bool:
    """Several complaints part there, so that a key of the user's that looks like one is not taken for it."""
    *above, last = place
    others = {each["loc"][len(above)] for each in found if each["loc"][: len(above)] == tuple(above) != each["loc"]}
    return bool(_BRANCH.fullmatch(str(last))) and len(others) > 1
