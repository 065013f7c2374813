"""The count of what should have fired, and the search for what was covered by nothing or twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.fires import Span, cover, fires_between

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", [1, 2, 3, 4, 5, 6, 7]),
        ("*/3 * * * * *", [3, 6]),
        ("*/7 * * * * *", [7]),
        ("@every 2s", [1, 3, 5, 7]),
        ("@every 60s", []),
    ],
)
def test_fires_are_counted_by_the_second(expression: str, expected: list[int]) -> None:
    found = fires_between(expression, at(-1), NOON, at(7.9))
    assert found == [at(second) for second in expected]


def test_a_step_starts_anew_each_minute() -> None:
    assert fires_between("*/7 * * * * *", NOON, at(55), at(61)) == [at(56), at(60)]


FIRES = [at(second) for second in range(1, 7)]


def test_runs_and_spans_that_cover_all_are_fine() -> None:
    found = cover("s", FIRES, [at(1), at(5), at(6)], [Span(first=at(2), last=at(4), count=3)])
    assert (found.expected, found.lost, found.twice) == (6, [], [])


def test_a_hole_is_lost() -> None:
    found = cover("s", FIRES, [at(1), at(2), at(4), at(5), at(6)], [])
    assert len(found.lost) == 1
    assert found.twice == []


def test_a_span_that_counts_wrongly_has_lost_something() -> None:
    found = cover("s", FIRES, [at(5), at(6)], [Span(first=at(1), last=at(4), count=3)])
    assert len(found.lost) == 1


def test_a_fire_covered_twice_is_found() -> None:
    found = cover("s", FIRES, [*FIRES, at(6)], [Span(first=at(2), last=at(2), count=1)])
    assert len(found.twice) == 2
    assert found.lost == []


def test_a_run_that_nobody_expected_is_found() -> None:
    assert len(cover("s", FIRES, [*FIRES, at(7)], []).twice) == 1
