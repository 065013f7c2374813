"""What a message claims to be for: read as strictly as anything from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# As the columns are: what does not fit can't be there.
MOST_RUN = 2**63 - 1
MOST_ATTEMPT = 2**31 - 1
TOKEN = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An attempt of a run under its admission token."""

    run: int
    attempt: int
    token: str


def claim_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Claim | None:
    """The claim of a message's arguments, None when they make none. ``schedule`` is for the reader of Flower."""
    if args or not {"run", "attempt", "token"} <= kwargs.keys() <= {"run", "attempt", "token", "schedule"}:
        return None
    run, attempt, token = kwargs["run"], kwargs["attempt"], kwargs["token"]
    if not _is_key(run, MOST_RUN) or not _is_key(attempt, MOST_ATTEMPT):
        return None
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        return None
    return Claim(run=run, attempt=attempt, token=token)


def _is_key(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most
