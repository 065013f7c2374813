"""Choosing how to copy a database. Runs in the child, so that the parent never opens the file: closing it there
would drop the locks of whatever connection to it the parent has itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from backups.sqlite.child import Line
from backups.sqlite.errors import OtherWayError
from backups.sqlite.livecopy import copy_live
from backups.sqlite.places import open_database
from backups.sqlite.restcopy import copy_at_rest


def copy(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    """By the way asked for, or by the one that fits: a database in WAL mode that is open has a ``-shm`` beside it.

    Raises ``OtherWayError``, naming the way that should be tried next.
    """
    folder, name = int(request["folder"]), str(request["name"])
    descriptor, head = open_database(folder, name)
    os.close(descriptor)
    way = request["way"] or _fitting(folder, name, wal=head.journal_mode == "wal")
    try:
        answer = copy_live(request, line) if way == "live" else copy_at_rest(request, line)
    except OtherWayError as error:
        raise OtherWayError(f"{'at_rest' if way == 'live' else 'live'} {error}") from error
    return {**answer, "journal_mode": head.journal_mode}


def _fitting(folder: int, name: str, *, wal: bool) -> str:
    return "live" if not wal or _is_file(folder, f"{name}-shm") else "at_rest"


def _is_file(folder: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
