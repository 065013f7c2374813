"""The one error of a schedule's text: it names the field, the value, the reason and a way out."""

_SHOWN = 60


class ExpressionError(ValueError):
    """A schedule text that cannot be used.

    `field` is the part at fault ("expression", "minute", "day of month", "timezone", …), `value` what
    stood there, `reason` why it is refused, `example` a text that would be accepted in its place.
    """

    def __init__(self, *, field: str, value: str, reason: str, example: str) -> None:
        self.field = field
        self.value = value
        self.reason = reason
        self.example = example
        super().__init__(f"{field} {_shown(value)}: {reason}; try {_shown(example)}")

    def __reduce__(self) -> tuple[object, tuple[dict[str, str]]]:
        # Exceptions pickle by position by default, which keyword-only arguments break.
        parts = {"field": self.field, "value": self.value, "reason": self.reason, "example": self.example}
        return _rebuilt, (parts,)


def _rebuilt(parts: dict[str, str]) -> ExpressionError:
    return ExpressionError(**parts)


def _shown(text: str) -> str:
    """One line, quoted and short, whatever was typed: the text may hold line breaks or be very long."""
    line = "".join(mark if mark.isprintable() else " " for mark in text)
    return f'"{line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"}"'
