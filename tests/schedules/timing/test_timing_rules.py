"""Rules apart from clocks that jump: rare dates, the ends of time, intervals, once, manual, speed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from schedules.timing import ExpressionError, Rule, interval_rule, once_rule, parse, validate

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)


def test_a_naive_datetime_is_an_error() -> None:
    naive = NOON.replace(tzinfo=None)
    for ask in (
        lambda: parse("0 2 * * *").next_after(naive),
        lambda: parse("0 2 * * *").fires(naive, NOON),
        lambda: parse("0 2 * * *").fires(NOON, naive),
        lambda: parse("@every 1h", anchor=naive),
        lambda: interval_rule(60, anchor=naive),
        lambda: once_rule(naive),
    ):
        with pytest.raises(ValueError, match="has no time zone"):
            ask()


def test_any_aware_datetime_is_read_and_utc_comes_back() -> None:
    following = parse("0 2 * * *").next_after(NOON.astimezone(timezone(timedelta(hours=8))))
    assert following == datetime(2026, 2, 26, 2, tzinfo=UTC)
    assert following.tzinfo is UTC


def test_kinds_expressions_and_zones() -> None:
    assert [parse(text).kind for text in ("0 2 * * *", "@daily", "@every 1h", "@at 2026-03-01T00:00:00Z")] == [
        *("cron", "cron", "interval", "once")
    ]
    assert parse("@manually").kind == "manual"
    rule = parse("CRON_TZ=Asia/Shanghai   0  2 * * * ", timezone="Europe/Berlin")
    assert (rule.expression, rule.timezone) == ("0 2 * * *", "Asia/Shanghai")
    assert interval_rule(5400, anchor=NOON).expression == "@every 1h30m"
    assert once_rule(NOON).expression == "@at 2026-02-25T12:00:00Z"
    assert parse(once_rule(NOON).expression) == once_rule(NOON)


def test_days_are_ored_when_both_are_restricted() -> None:
    days = [fire.day for fire in parse("0 0 13 * FRI").fires(NOON, NOON + timedelta(days=21))]
    assert days == [27, 6, 13]  # February 27, March 6: Fridays; March 13: both, once
    assert [fire.day for fire in parse("0 0 13 * ?").fires(NOON, NOON + timedelta(days=60))] == [13, 13]
    assert len(list(parse("0 0 */2 * 1").fires(NOON, NOON + timedelta(days=28)))) > 14  # a step restricts


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 0 29 2 *", "1896-03-01", "1904-02-29"),
        ("0 0 29 2 *", "2096-03-01", "2104-02-29"),
        ("0 0 31 2,4,6,9,11,12 *", "2026-01-01", "2026-12-31"),
        ("0 0 29,30 2 *", "2025-01-01", "2028-02-29"),
        ("59 59 23 31 12 *", "2026-01-01", "2026-12-31T23:59:59"),
    ],
)
def test_rare_dates(expression: str, after: str, expected: str) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert parse(expression).next_after(start) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "common", "leap"),
    [
        ("0 0 29 2 *", 0, 1),
        ("0 0 29 * *", 11, 12),
        ("0 0 30 * *", 11, 11),
        ("0 0 31 * *", 7, 7),
        ("0 0 28-31 * *", 41, 42),  # not the last day of each month: that is what L would say
        ("0 0 28-31 2 *", 1, 2),
        ("0 0 * 2 *", 28, 29),
        ("59 59 23 31 12 *", 1, 1),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Sydney"])
def test_the_ends_of_months_and_leap_years(expression: str, common: int, leap: int, zone: str) -> None:
    rule = parse(expression, timezone=zone)
    for year, expected in ((2027, common), (2028, leap), (2100, common)):
        begin, end = (
            datetime(number, 1, 1, tzinfo=ZoneInfo(zone)) - timedelta(seconds=1) for number in (year, year + 1)
        )
        assert rule.count(begin, end) == len(list(rule.fires(begin, end))) == expected


def test_the_last_days_of_a_month_or_a_weekday() -> None:
    """Both day fields are restricted: either is enough, and a day that is both counts once."""
    days = [datetime(2027, 12, 31, tzinfo=UTC) + timedelta(days=number) for number in range(1, 367)]
    expected = [day for day in days if day.day >= 28 or day.weekday() == 6]
    assert list(parse("0 0 28-31 * SUN").fires(days[0] - timedelta(1), days[-1])) == expected


def test_a_month_of_shanghai_begins_on_the_last_day_of_utc() -> None:
    rule = parse("0 0 1 * *", timezone="Asia/Shanghai")
    fires = [
        f"{fire:%m-%d %H}" for fire in rule.fires(datetime(2028, 1, 15, tzinfo=UTC), datetime(2028, 5, 15, tzinfo=UTC))
    ]
    assert fires == ["01-31 16", "02-29 16", "03-31 16", "04-30 16"]


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 0 31 feb ?"])
def test_a_date_that_never_comes_previews_empty_and_is_not_saved(expression: str) -> None:
    rule = parse(expression)
    assert rule.next_after(NOON) is None
    assert list(rule.fires(NOON, NOON + timedelta(days=366 * 1000))) == []
    with pytest.raises(ExpressionError, match="never has that day") as caught:
        validate(expression)
    assert caught.value.field == "day of month"
    assert validate(caught.value.example)


def test_an_impossible_date_with_a_weekday_is_possible() -> None:
    assert validate("0 0 30 2 MON").next_after(NOON) == datetime(2027, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("expression", ["0 2 * * *", "* * * * * *", "0 0 29 2 *", "@every 1h", "@yearly"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_the_ends_of_time_raise_nothing(expression: str, zone: str) -> None:
    rule = parse(expression, timezone=zone, anchor=NOON)
    earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for moment in (earliest, earliest + timedelta(days=1), latest - timedelta(days=366), latest):
        following = rule.next_after(moment)
        assert following is None or following > moment


def test_an_interval_neither_drifts_nor_restarts() -> None:
    rule = interval_rule(7, anchor=NOON)
    assert rule.next_after(NOON) == NOON + timedelta(seconds=7)
    late = NOON + timedelta(seconds=7, microseconds=300_000)
    assert rule.next_after(late) == NOON + timedelta(seconds=14)
    assert rule.next_after(NOON + timedelta(days=3650)) == NOON + timedelta(seconds=7 * 45_051_429)
    assert rule.next_after(NOON - timedelta(days=1)) == NOON  # an anchor to come is the first fire


def test_an_interval_is_anchored_on_the_whole_second() -> None:
    rule = interval_rule(10, anchor=NOON.replace(microsecond=999_999))
    assert rule.next_after(NOON.replace(microsecond=999_999)) == NOON + timedelta(seconds=10)


def test_every_without_an_anchor_counts_from_now() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    following = parse("@every 1h").next_after(datetime.now(UTC))
    assert following is not None
    assert before + timedelta(hours=1) <= following <= datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        *(("1h30m", 5400), ("90s", 90), ("1.5h", 5400), (".5m", 30), ("+2m", 120), ("1m30.9s", 90)),
        *(("500ms", 1), ("0", 1), ("0s", 1), ("-5m", 1), ("1ns", 1), ("3000000µs", 3), ("2000000us", 2)),
    ],
)
def test_durations_as_go_reads_them(duration: str, seconds: int) -> None:
    rule = parse(f"@every {duration}", anchor=NOON)
    assert rule.next_after(NOON) == NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("duration", ["1d", "h", "5", "1h 30m", "1e3s", "--1m", "s5", "٣s", "9999999h", "."])
def test_durations_that_go_refuses(duration: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(f"@every {duration}")
    assert parse(caught.value.example).kind == "interval"


@pytest.mark.parametrize("seconds", [0, -1, 366 * 86400 + 1])
def test_an_interval_is_one_second_to_366_days(seconds: int) -> None:
    with pytest.raises(ExpressionError, match="1 second to 366 days"):
        interval_rule(seconds, anchor=NOON)
    assert interval_rule(1, anchor=NOON).next_after(NOON) == NOON + timedelta(seconds=1)
    assert interval_rule(366 * 86400, anchor=NOON).next_after(NOON) == NOON + timedelta(days=366)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T02:00:00Z", "2026-03-01T02:00:00+00:00"),
        ("2026-03-01t02:00:00z", "2026-03-01T02:00:00+00:00"),
        ("2026-03-01T02:00:00+08:00", "2026-02-28T18:00:00+00:00"),
        ("2026-03-01T02:00:00.123456789-03:30", "2026-03-01T05:30:00.123456+00:00"),
    ],
)
def test_at(text: str, expected: str) -> None:
    instant = datetime.fromisoformat(expected)
    rule = parse(f"@at {text}", timezone="Asia/Tokyo")
    assert rule.next_after(instant - timedelta(microseconds=1)) == instant
    assert rule.next_after(instant) is None


@pytest.mark.parametrize(
    "text",
    [
        *("2026-03-01T02:00:00", "2026-03-01", "2026-02-30T00:00:00Z", "2026-03-01T24:00:00Z", "tomorrow"),
        *(
            "2016-12-31T23:59:60Z",
            "2026-03-01T02:00:00+24:00",
            "0001-01-01T00:00:00+10:00",
            "20260301T020000Z",
        ),
    ],
)
def test_at_refuses(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(f"@at {text}")
    assert parse(caught.value.example).kind == "once"


def test_a_leap_second_is_no_second_of_a_schedule() -> None:
    with pytest.raises(ExpressionError, match="between 0 and 59"):
        parse("60 59 23 31 12 *")
    last = datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)  # 23:59:60 followed
    assert parse("* * * * * *").next_after(last) == datetime(2017, 1, 1, tzinfo=UTC)


def test_manual_never_fires() -> None:
    assert parse("@manually").next_after(NOON) is None
    assert list(parse("@manually").fires(NOON, NOON + timedelta(days=1000))) == []


def test_the_bounds_of_fires_are_after_and_through() -> None:
    hours = [NOON + timedelta(hours=number) for number in range(4)]
    assert list(parse("0 * * * *").fires(hours[0], hours[2])) == [hours[1], hours[2]]
    assert list(parse("0 * * * *").fires(hours[2], hours[0])) == []
    assert list(parse("@every 1h", anchor=hours[0]).fires(hours[0], hours[2])) == [hours[1], hours[2]]


@pytest.mark.parametrize("expression", ["0 2 * * *", "@every 1h", "@at 2026-03-01T00:00:00Z", "@manually"])
def test_rules_are_values(expression: str) -> None:
    rule = parse(expression, anchor=NOON)
    again: Rule = pickle.loads(pickle.dumps(rule))  # noqa: S301 — our own bytes
    assert again == rule == parse(expression, anchor=NOON)
    assert hash(again) == hash(rule)
