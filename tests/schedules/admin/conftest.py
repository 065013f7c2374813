"""The admin's tests stand on the fleet of ``tests.admin_fleet``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from schedules.models import Schedule
from tests.admin_fleet import boss, fleet, make, staff
from tests.schedules.past import BORN, live

__all__ = ("boss", "fleet", "staff")


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands where a test puts it. To be asked for before ``boss`` logs in."""
    with time_machine.travel(BORN, tick=False) as traveller:
        yield traveller


@pytest.fixture
def lived(clock: Any, fleet: dict[str, Any]) -> Schedule:
    """Our hourly job with the past of ``tests.schedules.past``."""
    return live(clock, lambda: make(fleet["ours"], "Hourly", expression="0 * * * *", timezone="Asia/Shanghai"))
