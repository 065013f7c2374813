"""What must not reach a log: the secrets we know, and what looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "[redacted]"
# Below this length a "secret" is a common word, and masking it would make logs unreadable.
SHORTEST_SECRET = 6

_SHAPES = re.compile(
    r"""
    (?P<key>\bAKIA[0-9A-Z]{16}\b|\bwb_[0-9a-f]{8}_[\w-]{20,}|\bsk-[\w-]{16,}|\bgh[pousr]_\w{20,})
    |(?P<named>(?i:\b(?:password|passwd|secret|token|api[_-]?key|secret_access_key|authorization)\b["']?\s*[:=]\s*
       (?:bearer\s+|basic\s+)?["']?))(?P<value>[^\s"',;&]{4,})
    |(?P<scheme>(?i:\bbearer\s+))(?P<bearer>[\w.~+/-]{12,}=*)
    |(?P<url>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?P<password>[^\s@/]+)(?=@)
    """,
    re.VERBOSE,
)


class Redactor:
    """Masks known values and known shapes in a line of text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({each for each in secrets if len(each) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if self._known:
            text = self._known.sub(MASK, text)
        return _SHAPES.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    kept = match["named"] or match["scheme"] or match["url"] or ""
    return f"{kept}{MASK}"
