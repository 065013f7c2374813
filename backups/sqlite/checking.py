"""Is a copy whole? Asked of copies only: of a file that nobody else has open."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backups.sqlite import isolated
from backups.sqlite.isolated import Check, nothing
from backups.sqlite.places import open_parent

Level = Literal["quick", "integrity"]
MOST_PROBLEMS, MOST_VIOLATIONS = 100, 10_000


@dataclass(frozen=True, kw_only=True)
class Checked:
    """``problems`` are SQLite's own words, ``more`` that there were more of them than were kept.

    ``foreign_key_violations`` (rows without their parent, counted up to a bound) are no damage: SQLite doesn't
    enforce these keys unless asked to, so many a sound database has some. ``note`` tells why they couldn't be counted.
    """

    level: Level
    problems: tuple[str, ...]
    more: bool
    foreign_key_violations: int
    note: str
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.problems


def check_copy(
    path: Path,
    *,
    level: Level = "quick",
    most_problems: int = MOST_PROBLEMS,
    most_violations: int = MOST_VIOLATIONS,
    check: Check = nothing,
) -> Checked:
    """SQLite's ``quick_check``, or ``integrity_check``, which also compares indexes with their tables.

    Neither sees a changed byte of a row's content: that takes the copy's SHA-256. ``check`` is called ten times a
    second and ends the work by raising. A damaged copy is an answer, not an error; raises ``DatabaseMissingError``,
    ``DatabaseUnreadableError``, ``WorkCrashedError``.
    """
    begun = time.monotonic()
    folder, name = open_parent(path.parent, path.name)
    try:
        request = {
            "folder": folder,
            "name": name,
            "level": level,
            "most": most_problems,
            "most_violations": most_violations,
        }
        answer = isolated.run("check", request, folders=(folder,), check=check)
    finally:
        os.close(folder)
    return Checked(
        level=level,
        problems=tuple(answer["problems"]),
        more=answer["more"],
        foreign_key_violations=answer["violations"],
        note=answer["note"],
        seconds=time.monotonic() - begun,
    )
