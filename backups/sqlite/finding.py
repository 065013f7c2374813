"""Finding the databases of an agent's data folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from backups.sqlite import header, isolated
from backups.sqlite.isolated import Check, nothing
from backups.sqlite.places import Root, open_root

#: Bounds against a folder that was made to be endless.
MOST_LEVELS, MOST_ENTRIES = 16, 200_000


@dataclass(frozen=True, kw_only=True)
class Database:
    """``path`` is relative to the data folder; ``size`` in bytes, without what waits in a ``-wal``."""

    path: str
    size: int
    journal_mode: header.JournalMode


@dataclass(frozen=True, kw_only=True)
class Found:
    """``notes`` tell, in words, what looked like a database by its name and was left out."""

    databases: tuple[Database, ...]
    notes: tuple[str, ...]


def find_databases(root: Root, *, chosen: Sequence[str] = (), check: Check = nothing) -> Found:
    """The databases below ``root``, sorted by path; with ``chosen``, just these, each of which must be one.

    By default every regular file named like a database whose header is SQLite's. A file of no bytes counts:
    SQLite takes it as a database without tables, agents leave one when they have just been started, and a
    restore that brings it back gives the agent what it had. Links are not followed.
    """
    folder = open_root(root)
    request = {
        "folder": folder,
        "chosen": list(dict.fromkeys(chosen)),
        "most_levels": MOST_LEVELS,
        "most_entries": MOST_ENTRIES,
    }
    try:
        answer = isolated.run("find", request, folders=(folder,), check=check)
    finally:
        os.close(folder)
    databases = sorted((Database(**each) for each in answer["databases"]), key=lambda each: each.path)
    return Found(databases=tuple(databases), notes=tuple(answer["notes"]))
