"""What the rules need to know of an archive, and what they say of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One archive. It holds the state of ``since``, and of every moment up to ``until``: nothing changed meanwhile.

    ``is_good``: verified, and not found damaged since. ``is_damaged``: found so; what is neither was not read yet.
    """

    id: int
    name: str
    since: datetime
    until: datetime
    size: int
    is_good: bool
    is_damaged: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """``why`` has a reason for each rule that keeps the copy, or the one for which it goes."""

    copy: Copy
    is_kept: bool
    why: tuple[str, ...]


def newest_first(copies: list[Copy]) -> list[Copy]:
    return sorted(copies, key=lambda copy: (copy.until, copy.since, copy.name), reverse=True)
