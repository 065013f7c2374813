"""What may be written, what is refused, and in what words."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing_oracle import Part, parts

from schedules.timing import ExpressionError, describe, parse, validate
from schedules.timing.cronfields import cron_fields
from schedules.timing.fields import name_hash

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)

SAME = [
    ("0 2 * * *", "0 0 2 * * *"),
    ("*/15 9-17 * * mon-fri", "0 */15 9-17 ? * 1-5"),
    ("0 0 1 JAN,jul *", "0 0 1 1,7 ?"),
    ("? ? ? ? ?", "* * * * *"),
    ("0 0 * * 7", "0 0 * * SUN"),
    ("0 0 * * 5-7", "0 0 * * 0,5,6"),
    ("0 0 * * 1-7/2", "0 0 * * 1,3,5,0"),
    ("0 0 * * 1-7", "0 0 * * 0-6"),
    ("0 0 * * mon/2", "0 0 * * 1,3,5"),
    ("0 0 1-1 * *", "0 0 1 * *"),
    ("0 0 1-1/5 * *", "0 0 1 * *"),
    ("0-0 0-0 * * *", "0 0 * * *"),
    ("59/15 * * * *", "59 * * * *"),
    ("*/100 * * * *", "0 * * * *"),
    ("08 09 * * *", "8 9 * * *"),
    ("0 2 * * *", "　0\t2 *\n* *　"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "@Annually"),
    ("@hourly", "0 * * * *"),
    ("@minutely", "* * * * *"),
    ("CRON_TZ=UTC @daily", "TZ=UTC 0 0 * * *"),
]

REFUSED = [
    ("", "expression", "is empty", "0 2 * * *"),
    ("0 2 * *", "expression", "has 4 fields", "0 2 * * *"),
    ("0 0 2 * * * *", "expression", "has 7 fields", "0 2 * * *"),
    ("60 * * * *", "minute", "between 0 and 59", "59 * * * *"),
    ("60 0 2 * * *", "second", "between 0 and 59", "59 0 2 * * *"),
    ("0 24 * * *", "hour", "between 0 and 23", "0 23 * * *"),
    ("0 2 0 * *", "day of month", "between 1 and 31", "0 2 1 * *"),
    ("0 2 * 13 *", "month", "between 1 and 12", "0 2 * 12 *"),
    ("0 2 * * 8", "day of week", "between 0 and 7", "0 2 * * 7"),
    ("0 0 2 * * 7", "day of week", "Sunday is 0", "0 0 2 * * 0"),
    ("0 0 2 * * 5-7", "day of week", "Sunday is 0", "0 0 2 * * 0"),
    ("*/0 * * * *", "minute", "1 or more", "*/1 * * * *"),
    ("5,99 * * * *", "minute", "between 0 and 59", "5,59 * * * *"),
    ("0 22-5 * * *", "hour", "ends before it begins", "0 22-23,0-5 * * *"),
    ("0 2 * * fri-mon", "day of week", "ends before it begins", "0 2 * * 5-7,0-1"),
    ("0 2 L * *", "day of month", "last day", "0 2 28 * *"),
    ("0 2 * * 5L", "day of week", "last day", "0 2 * * 0"),
    ("0 2 15W * *", "day of month", "nearest working day", "0 2 1 * *"),
    ("0 2 * * 5#2", "day of week", "n-th weekday", "0 2 * * 0"),
    ("H 2 * * *", "minute", "is not a number", "0 2 * * *"),
    ("r 2 * * *", "minute", "is not a number", "0 2 * * *"),
    ("0 2 * foo *", "month", "a name (jan, feb, …)", "0 2 * 1 *"),
    ("1,,2 * * * *", "minute", "is not a number", "1,0,2 * * * *"),
    ("*-5 * * * *", "minute", "is not a number", "0 * * * *"),
    ("+5 * * * *", "minute", "is not a number", "0 * * * *"),
    ("٣ 2 * * *", "minute", "is not a number", "0 2 * * *"),
    ("60 24 * * *", "minute", "between 0 and 59", "0 2 * * *"),  # two faults: a text that surely is right
    ("0 " * 300, "expression", "longer than 500", "0 2 * * *"),
    ("@reboot", "expression", "no boot to wait for", "@hourly"),
    ("@dayly", "expression", "not a known descriptor", "@daily"),
    ("@every", "expression", "needs a duration", "@every 1h30m"),
    ("@evry 5m", "expression", "not a known descriptor", "@every 1h30m"),
    ("@daily 5", "expression", "takes nothing after it", "@daily"),
    ("@at", "expression", "needs an instant", "@at 2026-03-01T02:00:00Z"),
    ("@at 2026-03-01T02:00:00", "expression", "has no offset", "@at 2026-03-01T02:00:00Z"),
    ("@every 1d", "interval", "is not a duration", "@every 1h30m"),
    ("CRON_TZ=Asia/Shangai 0 2 * * *", "timezone", "not an IANA", "Asia/Shanghai"),
    ("TZ= 0 2 * * *", "timezone", "has to be named", "UTC"),
]


def week(expression: str) -> list[datetime]:
    return list(parse(expression).fires(NOON, NOON + timedelta(days=8)))


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_write_the_same(one: str, other: str) -> None:
    year = NOON + timedelta(days=366)
    assert week(one) == week(other)
    assert parse(one).next_after(year) == parse(other).next_after(year)


@pytest.mark.parametrize(("expression", "field", "reason", "example"), REFUSED)
def test_refusals_name_the_field_the_reason_and_a_way_out(
    expression: str, field: str, reason: str, example: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        validate(expression)
    problem = caught.value
    assert (problem.field, problem.example) == (field, example)
    assert reason in problem.reason
    assert str(problem).startswith(f'{field} "')
    assert "\n" not in str(problem)


def test_an_error_is_one_short_line_and_travels_between_processes() -> None:
    problem = ExpressionError(field="minute", value="6\n0" * 100, reason="is wrong", example="0 2 * * *")
    assert len(str(problem)) < 150
    assert "\n" not in str(problem)
    again = pickle.loads(pickle.dumps(problem))  # noqa: S301 — our own bytes
    assert (again.field, again.value, str(again)) == (problem.field, problem.value, str(problem))


def test_the_message_as_a_whole() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("0 25 * * *")
    assert str(caught.value) == 'hour "25": has to be between 0 and 23; try "0 23 * * *"'


@settings(max_examples=200, deadline=None)
@given(st.tuples(parts(0, 59), parts(0, 23), parts(1, 31), parts(1, 12), parts(0, 6)))
def test_croniter_expands_every_plain_field_as_written(drawn: tuple[Part, ...]) -> None:
    sets = cron_fields(" ".join(part.text for part in drawn), job_name="").sets
    expanded = (sets.minutes, sets.hours, sets.days, sets.months, sets.weekdays)
    assert expanded == tuple(part.values for part in drawn)


cronlike = st.lists(st.text("0123456789*/-,?~LW#hrabcsunfri@", max_size=6), min_size=0, max_size=7).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(cronlike | st.text(max_size=40) | st.text(max_size=20).map("@every {}".format), st.text(max_size=20))
def test_any_text_is_a_rule_or_a_clear_error_and_can_be_described(text: str, zone: str) -> None:
    assert describe(text, timezone=zone)
    assert describe(text, language="zh")
    problem = problem_of(text)
    if problem and problem.field != "timezone":
        assert parse(problem.example)


def problem_of(text: str) -> ExpressionError | None:
    try:
        parse(text)
    except ExpressionError as problem:
        return problem
    return None


# ---------------------------------------------------------------------------------------------- ~


def test_the_hash_of_a_name_is_the_sum_of_its_code_points() -> None:
    assert name_hash("backup") == 98 + 97 + 99 + 107 + 117 + 112 == 630
    assert name_hash("备份") == 0x5907 + 0x4EFD


@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("~ ~ ~ ~ ~ ~", "30 30 6 15 7 0"),  # 630 % 60, % 60, % 24, % 28 + 1, % 12 + 1, % 7
        ("~ ~ * * *", "30 6 * * *"),
        ("0 0 2 ~ * *", "0 0 2 15 * *"),
        ("~/10 * * * *", "30/10 * * * *"),
        ("5,~ * * * *", "5,30 * * * *"),
    ],
)
def test_the_tilde_is_the_place_of_the_name(expression: str, same: str) -> None:
    start = NOON + timedelta(days=300)
    assert parse(expression, job_name="backup").next_after(start) == parse(same).next_after(start)


def test_two_names_are_spread() -> None:
    times = {parse("~ ~ * * *", job_name=name).next_after(NOON) for name in ("backup", "restore", "scan")}
    assert len(times) == 3


@pytest.mark.parametrize("expression", ["0 0 * * ?,0", "0 0 * * 0,*", "0,* * * * *"])
def test_a_star_in_a_list_is_every_value(expression: str) -> None:
    assert parse(expression)
    assert describe(expression)
