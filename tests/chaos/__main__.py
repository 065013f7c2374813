"""``make chaos``, or ``python -m tests.chaos --help``. Exits with 1 when anything at all went wrong.

Each database is a process of its own: Django is set up once.
"""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.chaos.options import Asked, Database, asked


def main() -> int:
    found = asked()
    if len(found.databases) > 1:
        return max(_in_a_process_of_its_own(found, database) for database in found.databases)
    from tests.chaos.machine import run

    # What it started is ended however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = found.of(found.databases[0])
    verdict = run(options)
    sys.stdout.write(f"\nChaos on {options.database}, seed {options.seed}\n{verdict.table()}\n")
    sys.stdout.write("All good.\n" if verdict.is_good else f"WRONG. The same faults again: {options.command}\n")
    return 0 if verdict.is_good else 1


def _in_a_process_of_its_own(found: Asked, database: Database) -> int:
    arguments = [*sys.argv[1:], "--database", database]
    if found.keep:
        arguments += ["--keep", f"{found.keep}/{database}"]
    return subprocess.run([sys.executable, "-m", "tests.chaos", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
