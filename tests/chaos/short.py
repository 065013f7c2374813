"""A short storm as a test: the machine as a process of its own, since it sets up a Django of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.chaos.options import Database, Options

ROOT = Path(__file__).resolve().parents[2]
FAULTS = 12


def storm_passes(database: Database, *, seed: int) -> None:
    """The table must be all zeros; it is shown where it is not, with what repeats it."""
    options = Options(seed=seed, faults=FAULTS, database=database, fast=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_"))}
    done = subprocess.run(
        [sys.executable, *options.command.split()[1:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    assert "All good." in done.stdout
