"""The keeper ends what has lost its lease, whatever the database does meanwhile."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import pytest

from fleet.models import Organisation
from schedules.engine import keeper as keeping
from schedules.engine.attempt import Attempt
from schedules.engine.keeper import Keeper
from schedules.engine.redaction import Redactor
from schedules.models import Run


def test_a_database_that_never_answers_keeps_no_work_going(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rescue gives the run to another after one lease: by then this one must have been told to stop."""
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, lease_seconds=2.0, heartbeat_seconds=0.5)
    monkeypatch.setattr(keeping, "WATCH_SECONDS", 0.1)
    hangs = threading.Event()
    monkeypatch.setattr(Keeper, "_renew", lambda *_: hangs.wait(30))
    attempt = Attempt(Run(claim_token="mine", organisation=Organisation()), redact=Redactor(), log_limit_bytes=1000)
    monkeypatch.setattr(attempt.runlog, "flush", lambda: None)
    renewed = time.monotonic()
    attempt.renewed = renewed
    try:
        with Keeper().attending(attempt):
            while not attempt.stopped() and time.monotonic() - renewed < 5:
                time.sleep(0.01)
        assert attempt.stop_reason == "lease_lost"
        assert time.monotonic() - renewed < 2.0, "it was told after another may have begun"
    finally:
        hangs.set()
