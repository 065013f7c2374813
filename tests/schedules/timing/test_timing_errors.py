"""Every refusal of the package names the field and the value, and its corrected text is accepted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.timing import (
    ExpressionError,
    Rule,
    check_timezone,
    interval_rule,
    once_rule,
    parse,
    parse_blackouts,
    validate,
)

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)


def problem_of(ask: Callable[[], object]) -> ExpressionError | None:
    try:
        ask()
    except ExpressionError as problem:
        return problem
    return None


def is_right(problem: ExpressionError, retry: Callable[[str], object]) -> bool:
    """Whether the corrected text stands the same test as the refused one did."""
    assert problem.field
    assert problem.reason
    assert problem.example not in {"", problem.value}
    if problem.field == "timezone":
        return check_timezone(problem.example) is not None
    return retry(problem.example) is not None


# One for each place in the package that raises.
EXPRESSIONS = [
    *("", "* * * *", "0 0 0 0 0 0 0", "x" * 501, "60 * * * *", "61 0 0 * * *", "0 0 1-40 * *", "0 0 * * 9"),
    *("0 0 0 * * 7", "*/0 * * * *", "30-20 * * * *", "0 22-5 * * *", "0 0 L * *", "0 0 15W * *", "0 0 * * 5#2"),
    *("0 0 * foo *", "H * * * *", "~~~ * * * x", "99 99 99 99 99", "@reboot", "@nope", "@daily 5"),
    *("@every", "@every x", "@every 1d", "@every 9999999h", "@at", "@at x", "@at 2026-02-25", "@manually now"),
    *("@at 2026-02-25T12:00:00", "@at 2026-02-25T12:00:60Z", "@at 2026-02-30T12:00:00Z", "@at 2026-02-30T12:00:00"),
    *("@at 2026-02-25T24:00:00", "@at 0001-01-01T00:00:00+10:00", "@at 2026-02-25T12:00:00+99:00"),
    *("CRON_TZ=Mars 0 2 * * *", "TZ= 0 2 * * *", "CRON_TZ=Asia/Tokyo", "TZ=Asia/Tokyo 60 * * * *"),
    *("CRON_TZ=Asia/Tokyo @every 1d", "TZ=Asia/Tokyo CRON_TZ=UTC 0 2 * * *", "0 0 30 2 *", "0 0 31 4,6 ?"),
    "CRON_TZ=Asia/Tokyo 0 0 30 2 *",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_corrected_expression_can_be_saved(expression: str) -> None:
    problem = problem_of(lambda: validate(expression))
    assert problem is not None
    assert is_right(problem, validate)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_corrected_expression_keeps_its_zone(expression: str) -> None:
    problem = problem_of(lambda: validate(expression))
    assert problem is not None
    if "TZ=Asia/Tokyo" in expression:
        assert validate(problem.example).timezone == "Asia/Tokyo"
    else:
        assert "TZ=" not in problem.example


def test_the_corrected_expression_is_never_too_long() -> None:
    """A range that wraps around grows when it is written as two."""
    expression = f"{','.join(['59-0'] * 98)} 2 * * *"
    assert len(expression) < 500
    problem = problem_of(lambda: parse(expression))
    assert problem is not None
    assert parse(problem.example)


@pytest.mark.parametrize("seconds", [0, -5, 366 * 86400 + 1, 10**30])
def test_the_corrected_interval_is_one(seconds: int) -> None:
    problem = problem_of(lambda: interval_rule(seconds, anchor=NOON))
    assert problem is not None
    assert problem.value == str(seconds)
    assert is_right(problem, lambda text: interval_rule(int(text), anchor=NOON))


@pytest.mark.parametrize(
    "ask",
    [
        lambda zone: parse("0 2 * * *", timezone=zone),
        lambda zone: interval_rule(60, anchor=NOON, timezone=zone),
        lambda zone: once_rule(NOON, timezone=zone),
        lambda zone: parse_blackouts("sat", timezone=zone),
        check_timezone,
    ],
)
@pytest.mark.parametrize("zone", ["", " ", "Mars", "utc", "../UTC", "UTC+8", "Asia\0", "x" * 5000, "Factory"])
def test_the_nearest_zone_is_one(ask: Callable[[str], object], zone: str) -> None:
    problem = problem_of(partial(ask, zone))
    assert problem is not None
    assert (problem.field, problem.value) == ("timezone", zone)
    assert is_right(problem, ask)


fields = st.text("0123456789*/-,?~LW#abcdefjnorstu", min_size=1, max_size=7)
near_misses = st.one_of(
    st.lists(fields, min_size=5, max_size=6).map(" ".join),
    st.builds("{} {} 31 2 *".format, fields, fields),
    st.builds("@every {}{}".format, st.integers(-5, 10**20), st.sampled_from(["", "h", "d", "ms", "s1", "m-1s"])),
    st.builds(
        "@at {:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}".format,
        *(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32), st.integers(0, 25), st.integers(0, 61)),
        *(st.integers(0, 61), st.sampled_from(["", "Z", "+08:00", "-25:00", "z ", "+8"])),
    ),
    st.builds("@{}".format, st.text("adeilmnorwy @", max_size=9)),
)
prefixes = st.sampled_from(["", "", "CRON_TZ=Asia/Tokyo ", "TZ=UTC\t", "CRON_TZ=", "TZ=Asia/Tokio "])


@settings(max_examples=500, deadline=None)
@given(prefixes, near_misses)
def test_near_misses_get_a_text_that_works(prefix: str, text: str) -> None:
    for ask in (parse, validate):
        retry: Callable[[str], Rule] = ask
        problem = problem_of(lambda retry=retry: retry(prefix + text))
        assert problem is None or is_right(problem, retry)
