"""``job next --stdin``: a table of timings, one JSON object a line in, one a line out.

A line that can't be used is answered by an error, in its place, and the next one is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from schedules import timing
from schedules.console.moments import utc_text
from schedules.services.preview import END_OF_TIME
from schedules.timing.instants import instant

MOST = 10_000
LONGEST_LINE = 64 * 1024  # bytes; an expression has at most 500 characters
EXAMPLE = '{"expr": "0 2 * * *", "timezone": "Asia/Shanghai", "from": "2026-03-01T00:00:00Z", "n": 3}'
_TYPES: dict[str, tuple[type, str]] = {
    "expr": (str, "a text"),
    "timezone": (str, "a text"),
    "from": (str, "a text"),
    "n": (int, "a whole number"),
}


class BadLine(ValueError):
    """Why a line can't be used."""


def answers(stream: BinaryIO) -> Iterator[str]:
    """One answer for each line, as soon as the line is there."""
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            _skip_rest(stream)
            yield _text({"error": f"the line is longer than {LONGEST_LINE:,} bytes; a line is {EXAMPLE}"})
        else:
            yield answer(line)


def answer(line: bytes) -> str:
    """``{"next": [...]}``, in UTC, empty when it never fires; or ``{"error": "..."}``. Never raises."""
    try:
        return _text({"next": _next(_asked(line))})
    except (BadLine, timing.ExpressionError) as error:
        return _text({"error": str(error)})


def _next(asked: dict[str, Any]) -> list[str]:
    expression, zone, name = asked["expr"], asked["timezone"], asked.get("name", "")
    rule = timing.parse(expression, timezone=zone, job_name=name)
    after = instant(asked["from"], zone=timing.check_timezone(rule.timezone))
    if rule.kind == "interval":  # it counts from where the question begins, not from now
        rule = timing.parse(expression, timezone=zone, anchor=after)
    return [utc_text(fire) for fire in islice(rule.fires(after, END_OF_TIME), asked["n"])]


def _asked(line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON ({error}); a line is {EXAMPLE}") from None
    if not isinstance(asked, dict):
        raise BadLine(f"not a JSON object; a line is {EXAMPLE}")
    for key, (kind, words) in _TYPES.items():
        if key not in asked:
            raise BadLine(f'"{key}" is missing; a line is {EXAMPLE}')
        if not isinstance(asked[key], kind) or isinstance(asked[key], bool):
            raise BadLine(f'"{key}" has to be {words}; a line is {EXAMPLE}')
    if not isinstance(asked.get("name", ""), str):
        raise BadLine('"name" has to be a text: the name of the job, which ~ hashes')
    if not 1 <= asked["n"] <= MOST:
        raise BadLine(f'"n" {str(asked["n"])[:20]}: has to be from 1 to {MOST:,}; try 10')
    return asked


def _skip_rest(stream: BinaryIO) -> None:
    while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def _text(value: dict[str, Any]) -> str:
    # ASCII: half a surrogate pair in a line must not break the stream.
    return json.dumps(value)
