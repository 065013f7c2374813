"""``watch.env`` in the data folder: what a second terminal needs to find the running watch.

KEY=VALUE lines, nothing quoted, mode 0600 because it holds secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NAME = "watch.env"


def read(path: Path) -> dict[str, str]:
    """The values of the file; empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {key.strip(): value for key, mark, value in pairs if mark}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step: a reader sees the old values or the new ones, never half of them."""
    lines = ["# Written by `make run` at each start. Real environment variables win over these."]
    lines += [f"{key}={value}" for key, value in sorted(values.items())]
    staged = path.with_name(f"{path.name}.new")
    staged.unlink(missing_ok=True)
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
