"""Opening one of our own copies, which is still hostile in what it holds. Runs in the child."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from typing import Any

from backups.sqlite.child import Line
from backups.sqlite.confine import confine, connect, uri
from backups.sqlite.places import open_file


def open_copy(request: Mapping[str, Any], line: Line, *, lenient: bool = False) -> sqlite3.Connection:
    """Read-only and immutable: nobody else writes to a copy, and nothing is left beside it. Extensions can't be
    loaded by SQL unless a connection allows it, and none here does.

    ``lenient`` goes on with what can be read of a damaged schema.
    """
    folder, name = int(request["folder"]), str(request["name"])
    pinned = open_file(folder, name)
    place = confine(folder, os.fstat(pinned))
    connection = connect(uri(place, name, "mode=ro&immutable=1"))
    connection.execute("PRAGMA cell_size_check=ON")
    if lenient:
        connection.execute("PRAGMA writable_schema=ON")
    line.watch(connection)
    return connection


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
