"""What can be said of a restored tree beyond its bytes, by the kind of its archive."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
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
    """SQLite's own check of every database below the folder, which nobody else has open.

    The folder that holds ``folder`` is ours: a name of each database is made there.
    """
    problems: list[str] = []
    for database in find_databases(folder, check=on_wait).databases:
        if database.size:
            with _apart(folder / database.path, folder.parent) as path:
                checked = check_copy(path, check=on_wait)
            problems += [f"{database.path} is damaged: {problem}" for problem in checked.problems[:3]]
    return problems


@contextlib.contextmanager
def _apart(database: Path, home: Path) -> Iterator[Path]:
    """The database under another name, in a folder of its owner's: it is read as him, and the tree may bar his way."""
    status = database.lstat()
    with tempfile.TemporaryDirectory(prefix="check-", dir=home) as folder:
        path = Path(folder) / database.name
        if status.st_mode & stat.S_IRUSR:
            os.link(database, path, follow_symlinks=False)
            if os.geteuid() == 0:
                os.chown(folder, status.st_uid, status.st_gid)
        else:
            shutil.copyfile(database, path, follow_symlinks=False)
        yield path
