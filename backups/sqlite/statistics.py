"""What a copy holds: tables by rows and bytes, keys by their kind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backups.sqlite import isolated
from backups.sqlite.isolated import Check, nothing
from backups.sqlite.places import open_parent

#: Bounds against a schema that was made to be endless.
MOST_TABLES, MOST_KINDS, MOST_SECONDS = 1_000, 100, 60.0


@dataclass(frozen=True, kw_only=True)
class TableStatistics:
    """``rows`` is None where it couldn't be counted, ``size`` (bytes, indexes included) without dbstat."""

    name: str
    rows: int | None
    size: int | None


@dataclass(frozen=True, kw_only=True)
class KeyStatistics:
    """Of a table with the columns ``key`` and ``value``: the rows whose key begins with ``kind:``, ``""`` being
    those without a colon; ``size`` in bytes of keys and values."""

    table: str
    kind: str
    rows: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """``more``: there are more tables than were looked at; ``timed_out``: some were not counted."""

    tables: tuple[TableStatistics, ...]
    keys: tuple[KeyStatistics, ...]
    more: bool
    timed_out: bool
    pages: int
    free_pages: int


def read_statistics(
    path: Path,
    *,
    most_tables: int = MOST_TABLES,
    most_seconds: float = MOST_SECONDS,
    check: Check = nothing,
) -> Statistics:
    """Of a copy, in bounded time. ``check`` and what is raised: as for :func:`backups.sqlite.checking.check_copy`."""
    folder, name = open_parent(path.parent, path.name)
    try:
        request = {
            "folder": folder,
            "name": name,
            "most_tables": most_tables,
            "most_kinds": MOST_KINDS,
            "seconds": most_seconds,
        }
        answer = isolated.run("statistics", request, folders=(folder,), check=check)
    finally:
        os.close(folder)
    return Statistics(
        tables=tuple(TableStatistics(**each) for each in answer["tables"]),
        keys=tuple(KeyStatistics(**each) for each in answer["keys"]),
        more=answer["more"],
        timed_out=answer["timed_out"],
        pages=answer["pages"],
        free_pages=answer["free_pages"],
    )
