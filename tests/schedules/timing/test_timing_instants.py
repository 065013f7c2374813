"""Times as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schedules.timing import ExpressionError, check_timezone
from schedules.timing.instants import instant

BERLIN = check_timezone("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T02:00:00Z", "2026-03-01T02:00"),
        (" 2026-03-01t02:00:00z ", "2026-03-01T02:00"),
        ("2026-03-01T02:00+08:00", "2026-02-28T18:00"),
        ("2026-03-01T02:00", "2026-03-01T01:00"),  # Berlin's own clock
        ("2026-07-01 02:00:30", "2026-07-01T00:00:30"),
        ("2026-07-01", "2026-06-30T22:00"),  # its midnight
        ("2026-10-25T02:30", "2026-10-25T00:30"),  # comes twice: the first
        ("2026-03-29T02:30", "2026-03-29T01:00"),  # is missing: the first instant after the gap, as a fire
    ],
)
def test_iso_8601_with_and_without_an_offset(text: str, expected: str) -> None:
    moment = instant(text, zone=BERLIN)
    assert moment == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-02-30", "23:59:60", "2026-01-01T23:59:60Z", "0001-01-01", "9999-12-31T23:59-12:00"]
)
def test_anything_else_names_the_field_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        instant(text, zone=BERLIN, field="from")
    assert (refusal.value.field, refusal.value.value) == ("from", text)
    assert instant(refusal.value.example, zone=BERLIN)
