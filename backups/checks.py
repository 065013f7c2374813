"""What can be said of a restored tree beyond its bytes, by the kind of its archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backups.archive.stores import nothing
from backups.sqlite.checking import check_copy
from backups.sqlite.finding import find_databases


def content_problems(kind: str, folder: Path, *, on_wait: Callable[[], None] = nothing) -> list[str]:
    """What is wrong, in words; none for a tree that is well. Of a database archive, each database is checked."""
    if kind != "database":
        return []
    return databases_problems(folder, on_wait=on_wait)


def databases_problems(folder: Path, *, on_wait: Callable[[], None] = nothing) -> list[str]:
    """SQLite's own check of every database below the folder, which nobody else has open."""
    problems: list[str] = []
    for database in find_databases(folder, check=on_wait).databases:
        if database.size:
            checked = check_copy(folder / database.path, check=on_wait)
            problems += [f"{database.path} is damaged: {problem}" for problem in checked.problems[:3]]
    return problems
