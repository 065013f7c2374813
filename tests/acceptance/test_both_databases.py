"""The engine's suite once more, on a real PostgreSQL: one state machine, one suite, two databases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITES = ["tests/schedules/engine", "tests/schedules/exchange/test_apply.py", "tests/fleet/test_races.py"]


def test_the_suite_of_the_engine_passes_on_postgresql(postgres_url: str) -> None:
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *SUITES]
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
    assert "skipped" not in done.stdout
