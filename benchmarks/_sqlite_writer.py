"""A process that writes to the database 200 times a second, as an agent might, and tells how long each took.

Each transaction moves an amount between two accounts, so that the sum over all is zero in every consistent copy.
Arguments: path, writes per second. It writes until its input is closed, then prints latencies (JSON, seconds).
"""

from __future__ import annotations

import json
import random
import select
import sqlite3
import sys
import time


def main() -> None:
    path, rate = sys.argv[1], float(sys.argv[2])
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("PRAGMA synchronous=NORMAL")
    (most,) = connection.execute("SELECT MAX(id) FROM account").fetchone()
    print("ready", flush=True)
    print(json.dumps(write(connection, most, rate)), flush=True)


def write(connection: sqlite3.Connection, most: int, rate: float) -> list[tuple[float, float]]:
    """When each transaction was due and how long after that it was committed."""
    dice = random.Random(11)
    latencies = []
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        begun = time.monotonic()
        if begun < due:
            continue
        one, two, amount = dice.randrange(1, most + 1), dice.randrange(1, most + 1), dice.randrange(1000)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE account SET amount = amount - ? WHERE id = ?", (amount, one))
        connection.execute("UPDATE account SET amount = amount + ? WHERE id = ?", (amount, two))
        connection.execute("COMMIT")
        latencies.append((begun, time.monotonic() - begun))
        due += 1 / rate
    return latencies


if __name__ == "__main__":
    main()
