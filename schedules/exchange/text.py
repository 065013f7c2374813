"""Bytes to text: size and characters are judged before any format is."""

from __future__ import annotations

import re

from schedules.exchange.problems import Problem, Refused

#: Ten thousand jobs are about 3 MiB.
LARGEST = 8 * 1024**2
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # as YAML, and any editor
)


def decoded(data: bytes) -> str:
    """UTF-8, with or without a byte order mark. Raises :class:`Refused` that names the line."""
    if len(data) > LARGEST:
        raise Refused([Problem(text=f"has {len(data)} bytes; at most {LARGEST} are read")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused([Problem(line=line, text="is not UTF-8; save the file as UTF-8")]) from error
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise Refused([Problem(line=line, text=f"holds the control character U+{ord(found[0]):04X}")])
    return text
