"""Whatever comes in, from an API or a file: refused with the field, the value and a way out, on either database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleet.errors import InvalidInput
from schedules.models import Schedule
from schedules.services.schedules import schedule_update
from tests.schedules.engine.conftest import ACTOR

Make = Callable[..., Schedule]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("display_name", "a\x00b", "can't be kept"),
        ("description", "\ud800", "can't be kept"),
        ("description", None, "is a text, not None"),
        ("description", "x" * 10_001, "10000 characters, not 10001"),
        ("payload", {"trace": "\x00"}, "can't be kept"),
        ("timezone", None, "is a text, not None"),
        ("max_runs", "x", "is a whole number, for example 1, not 'x'"),
        ("max_runs", True, "is a whole number"),
        ("priority", 5.5, "is a whole number"),
        ("priority", 12, "from 0 to 9, not 12; try 9"),
        ("max_concurrent_runs", None, "is a whole number"),
        ("retry_delays", [True], r"for example \[30, 60, 300\], not \[True\]"),
        ("retry_delays", [1] * 101, "at most 100 of"),
        ("catchup_seconds", 32 * 86400, "try 2678400"),
        ("starts_at", "2026-01-01", "is an instant, for example 2026-12-01T02:00:00Z"),
    ],
)
def test_a_value_that_can_t_be_taken(make_schedule: Make, field: str, value: Any, text: str) -> None:
    schedule = make_schedule("job")
    with pytest.raises(InvalidInput, match=text) as refusal:
        schedule_update(schedule=schedule, actor=ACTOR, **{field: value})
    assert refusal.value.field == field
    assert Schedule.objects.get().version == schedule.version
