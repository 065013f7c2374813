"""What is wrong with a payload, in words: the field, the value, and what would do."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The field (``payload.keep``) and a sentence about it."""
    first = error.errors()[0]
    field = ".".join(["payload", *(str(part) for part in first["loc"])])
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return field, f"{field} is not a field of this executor; `--payload` takes only the fields it knows."
    if first["type"] == "missing":
        return field, f"{field} is missing."
    if first["type"] == "value_error":
        return field, f"{field}: {reason}"
    return field, f"{field} is {first['input']!r}: {reason[:1].lower()}{reason[1:]}."
