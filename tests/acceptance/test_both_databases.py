"""The engine's suite once more, on a real PostgreSQL: one state machine, one suite, two databases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEDGER = "tests/schedules/engine/test_ledger.py"
# Two halves of about the same length, for two workers.
SUITES = [
    ["tests/schedules/engine", f"--ignore={LEDGER}"],
    [
        LEDGER,
        "tests/schedules/services",
        "tests/schedules/housekeeping",
        "tests/schedules/exchange/test_apply.py",
        "tests/fleet/test_races.py",
    ],
]


@pytest.mark.parametrize("paths", SUITES, ids=["engine", "ledger and services"])
def test_the_suite_passes_on_postgresql_too(postgres_url: str, paths: list[str]) -> None:
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--durations=1", *paths]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        suite,
        cwd=ROOT,
        env=environment | {"TEST_DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    assert not re.search(r"\d+ skipped", done.stdout)
