"""Pieces of the life of an agent with a database: writing to it, and dying over it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

Snapshot = dict[str, tuple[int, int, int, bytes]]

#: Each transaction keeps the sum of all rows at zero, and touches pages all over the file.
WRITER = """
import random, sqlite3, sys
path, mode, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
dice = random.Random(seed)
c = sqlite3.connect(path, isolation_level=None, timeout=30)
assert c.execute(f"PRAGMA journal_mode={mode}").fetchone()[0] == mode
c.execute("PRAGMA synchronous=OFF")
print("ready", flush=True)
while True:
    amount, one, two = dice.randrange(1000), dice.randrange(1, 2001), dice.randrange(1, 2001)
    c.execute("BEGIN IMMEDIATE")
    c.execute("UPDATE account SET amount = amount - ? WHERE id = ?", (amount, one))
    c.execute("UPDATE account SET amount = amount + ? WHERE id = ?", (amount, two))
    c.execute("COMMIT")
"""


def make_accounts(path: Path, rows: int = 2000) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, filler TEXT NOT NULL)"
        )
        values = ((number, 0, f"{number:05}" * 60) for number in range(1, rows + 1))
        connection.executemany("INSERT INTO account VALUES(?, ?, ?)", values)
        connection.execute("CREATE INDEX by_amount ON account(amount)")


@contextmanager
def running(script: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A piece of an agent's life that has said ``ready``; killed at the end, as an agent may be."""
    with subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@contextmanager
def writing(path: Path, mode: str, seed: int = 7) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes all the while."""
    with running(WRITER, path, mode, seed) as process:
        yield process


def rows_of(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        return connection.execute(statement).fetchall()


def snapshot(folder: Path) -> Snapshot:
    """Names, owners, modes and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


def killed(script: str, *arguments: object) -> None:
    """Let an agent die as soon as it says ``ready``."""
    with running(script, *arguments):
        pass
