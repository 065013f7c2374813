"""Numbers from the environment: refused with their name, their value and the way out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TICK_SECONDS", "abc"), ("TICK_SECONDS", "nan"), ("TICK_SECONDS", "inf"), ("DRAIN_SECONDS", "5m"),
        ("DRAIN_SECONDS", "-1"), ("LEASE_SECONDS", "1,5"), ("LEASE_SECONDS", "1e9"), ("UNCLAIMED_SECONDS", "0"),
        ("RETRY_JITTER", "-3"), ("LEADER_SECONDS", "0.1"), ("LOG_LIMIT_BYTES", "-5"), ("BACKUP_KEEP", "0"),
        ("BACKUP_KEEP", "2.5"), ("WORKER_SLOTS", "0x10"), ("RETRY_DELAYS", "a,b"), ("RETRY_DELAYS", "30,,60"),
    ],
)  # fmt: skip
def test_what_is_no_sensible_number_is_refused_by_name(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ImproperlyConfigured) as refused:
        env.watchbill()
    assert str(refused.value).startswith(f"{name} is {text!r}: give ")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_one_is_not_given(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEASE_SECONDS", "RETRY_DELAYS", "BACKUP_KEEP"):
        monkeypatch.setenv(name, text)
    found = env.watchbill()
    assert (found.lease_seconds, found.retry_delays, found.backup_keep) == (20.0, (30, 60, 300, 900, 3600), 5)


def test_numbers_are_read_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("LEASE_SECONDS", "12.5"), ("RETRY_DELAYS", " 1, 2 ,4"), ("WORKER_SLOTS", "16")):
        monkeypatch.setenv(name, text)
    found = env.watchbill()
    assert (found.lease_seconds, found.retry_delays, found.worker_slots) == (12.5, (1, 2, 4), 16)


def test_a_command_refuses_in_one_line(tmp_path: Path) -> None:
    project = Path(env.BASE_DIR)
    given = os.environ | {"TICK_SECONDS": "abc", "WATCHBILL_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=project, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "Error: TICK_SECONDS is 'abc': give a number from 0.05 to 5, such as 0.5.\n"
