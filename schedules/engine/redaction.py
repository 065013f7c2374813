"""What must not reach a log: the secrets we know, and what looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "[redacted]"
# Below this length a "secret" is a common word, and masking it would make logs unreadable.
SHORTEST_SECRET = 6

# Every repetition is bounded: an agent chooses the text, and a pattern that backtracks over a long line would hold
# the interpreter's lock longer than a lease.
_SHAPES = re.compile(
    r"""
    (?P<key>\bAKIA[0-9A-Z]{16}\b|\bwb_[0-9a-f]{8}_[\w-]{20,80}|\bsk-[\w-]{16,200}|\bgh[pousr]_\w{20,100})
    |(?P<named>(?i:password|passwd|secret|token|api[_-]?key|authorization)(?:[_-][\w-]{0,40})?["']?\s{0,5}[:=]\s{0,5}
       (?i:bearer\s{1,5}|basic\s{1,5})?["']?)(?P<value>(?!\d+\b)[^\s"',;&]{4,4096})
    |(?P<flag>--?(?i:[a-z-]{0,30}(?:password|passwd|secret|token|api-key))\s{1,5})(?P<flagged>[^\s"'-]\S{3,4095})
    |(?P<scheme>\b(?i:bearer)\s{1,5})(?P<bearer>[\w.~+/-]{12,4096}={0,2})
    |(?P<url>://[^\s:/@]{0,128}:)(?P<password>[^\s@/]{1,256})(?=@)
    """,
    re.VERBOSE,
)


class Redactor:
    """Masks known values and known shapes in a line of text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these values too, from now on."""
        self._secrets |= {each for each in secrets if len(each) >= SHORTEST_SECRET}
        if self._secrets:
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        if self._known:
            text = self._known.sub(MASK, text)
        return _SHAPES.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    kept = match["named"] or match["flag"] or match["scheme"] or match["url"] or ""
    return f"{kept}{MASK}"
