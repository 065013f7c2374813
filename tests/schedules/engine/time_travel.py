"""The engine's clock at a time of the test's choosing, on either database."""

from __future__ import annotations

import sys
from datetime import datetime

import pytest


class Clock:
    """``clock.is_at(moment)``: from now on the engine and the services read that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def is_at(self, moment: datetime) -> datetime:
        for name, module in list(sys.modules.items()):
            for clock in ("database_now", "statement_now"):
                if name.startswith("schedules.") and hasattr(module, clock):
                    self._monkeypatch.setattr(module, clock, lambda: moment)
        return moment
