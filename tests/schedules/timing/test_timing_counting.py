"""`count` and `last` say in one step what `fires` says one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing_oracle import Five, Meeting, Part, expressions, instants, meetings, parts, zones

from schedules.timing import Rule, interval_rule, once_rule, parse

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def agree(rule: Rule, after: datetime, through: datetime) -> None:
    fires = list(rule.fires(after, through))
    assert rule.count(after, through) == len(fires)
    assert rule.last(after, through) == (fires[-1] if fires else None)


@settings(max_examples=150, deadline=None)
@given(meetings(), st.integers(0, 40 * 3600))
def test_around_a_change_of_offset(meeting: Meeting, seconds: int) -> None:
    five, zone, after = meeting
    # The random numbers are small rather than large, and the change lies hours away.
    agree(parse(five.text, timezone=zone), after, after + timedelta(hours=40) - timedelta(seconds=seconds))


@settings(max_examples=100, deadline=None)
@given(parts(0, 59), meetings(), st.integers(0, 10 * 3600), st.integers(1, 4 * 3600))
def test_by_the_second_around_a_change_of_offset(second: Part, meeting: Meeting, begin: int, length: int) -> None:
    five, zone, start = meeting
    after = start + timedelta(seconds=begin, microseconds=begin)
    agree(parse(f"{second.text} {five.text}", timezone=zone), after, after + timedelta(seconds=length))


@settings(max_examples=100, deadline=None)
@given(expressions, zones, instants(1950, 2150), st.integers(0, 3 * 365))
def test_over_days_and_years(five: Five, zone: str, after: datetime, days: int) -> None:
    rarer = f"{min(five.minute.values)} {min(five.hour.values)} {five.text.split(' ', 2)[2]}"
    agree(parse(rarer, timezone=zone), after, after + timedelta(days=days, seconds=days * 7))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6), instants(1990, 2090), st.integers(-(10**7), 10**8), st.integers(0, 500))
def test_of_intervals(seconds: int, anchor: datetime, distance: int, steps: int) -> None:
    after = anchor + timedelta(seconds=distance)
    agree(interval_rule(seconds, anchor=anchor), after, after + timedelta(seconds=steps * seconds + steps))


@pytest.mark.parametrize(
    ("zone", "day", "following", "expected"),
    [
        ("UTC", "2026-03-29", "2026-03-30", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-30", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-26", 25),
        ("Australia/Sydney", "2026-04-05", "2026-04-06", 25),
        ("Australia/Sydney", "2026-10-04", "2026-10-05", 23),
        ("Antarctica/Troll", "2026-03-29", "2026-03-30", 22),
        ("Pacific/Apia", "2011-12-29", "2011-12-31", 24),  # the 30th did not happen
        ("Pacific/Kwajalein", "1969-09-30", "1969-10-01", 47),  # the 30th came twice, but for an hour
    ],
)
def test_the_hours_of_a_local_day(zone: str, day: str, following: str, expected: int) -> None:
    before = timedelta(seconds=1)
    begin, end = (
        datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - before
        for text in (day, following)
    )
    assert parse("0 * * * *", timezone=zone).count(begin, end) == expected
    assert parse("* * * * * *", timezone=zone).count(begin, end) == expected * 3600


@pytest.mark.parametrize(
    ("expression", "zone", "change", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00Z", [1]),  # made up at 03:00
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T01:00Z", [1, 2]),  # 03:00 once, 03:30
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-30T10:00Z", [1]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:00Z", [0]),  # the first pass was before
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25T01:00Z", [2]),
    ],
)
def test_what_a_gap_and_a_repetition_leave(expression: str, zone: str, change: str, expected: list[int]) -> None:
    rule, begin = parse(expression, timezone=zone), datetime.fromisoformat(change) - timedelta(microseconds=1)
    assert rule.count(begin, begin + timedelta(hours=1)) == expected[-1]
    assert rule.count(begin, begin + timedelta(seconds=1)) == min(expected[0], 1)
    agree(rule, begin, begin + timedelta(seconds=1))
    agree(rule, begin, begin + timedelta(hours=1))


def test_long_windows_are_counted_not_walked() -> None:
    """31.5 million fires, and ten years of minutes with all their clock changes, at once."""
    assert parse("* * * * * *", timezone="America/New_York").count(NOON, NOON + YEAR) == 365 * 86400
    assert parse("* * * * *", timezone="Europe/Berlin").count(NOON, NOON + 10 * YEAR) == 3650 * 1440
    assert interval_rule(1, anchor=NOON).count(NOON, NOON + 100 * YEAR) == 36500 * 86400


def test_the_last_of_a_long_window() -> None:
    assert parse("0 0 29 2 *").last(NOON - 100 * YEAR, NOON) == datetime(2024, 2, 29, tzinfo=UTC)
    assert parse("0 0 29 2 *").last(NOON - YEAR, NOON) is None
    # The missing 02:30 was made up at 03:00 summer time, the last fire there was.
    gap = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert parse("30 2 * * *", timezone="Europe/Berlin").last(NOON, gap + timedelta(hours=20)) == gap


def test_the_bounds_are_after_and_through() -> None:
    hours = [NOON + timedelta(hours=number) for number in range(4)]
    microsecond = timedelta(microseconds=1)
    for rule in (parse("0 * * * *"), parse("@every 1h", anchor=NOON)):
        assert rule.count(hours[0], hours[2]) == 2
        assert rule.count(hours[0] - microsecond, hours[2] - microsecond) == 2
        assert rule.last(hours[0], hours[2]) == hours[2]
        assert rule.last(hours[0], hours[2] - microsecond) == hours[1]
        assert rule.count(hours[2], hours[0]) == 0
        assert rule.last(hours[2], hours[0]) is None
        assert rule.last(hours[0], hours[0]) is None


def test_what_fires_once_or_never() -> None:
    once = once_rule(NOON)
    assert (once.count(NOON - YEAR, NOON), once.last(NOON - YEAR, NOON)) == (1, NOON)
    assert (once.count(NOON, NOON + YEAR), once.last(NOON, NOON + YEAR)) == (0, None)
    for never in (parse("@manually"), parse("0 0 30 2 *")):
        assert (never.count(NOON, NOON + 10 * YEAR), never.last(NOON, NOON + 10 * YEAR)) == (0, None)


@pytest.mark.parametrize("expression", ["0 2 * * *", "* * * * * *", "0 0 29 2 *", "@every 1h", "@yearly"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_the_ends_of_time_raise_nothing(expression: str, zone: str) -> None:
    rule = parse(expression, timezone=zone, anchor=NOON)
    earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for after, through in ((earliest, earliest + YEAR), (latest - 2 * YEAR, latest), (latest, latest)):
        assert rule.count(after, through) >= 0
        last = rule.last(after, through)
        assert last is None or after < last <= through
    assert rule.last(NOON, latest) is not None


def test_a_naive_datetime_is_an_error() -> None:
    naive = NOON.replace(tzinfo=None)
    for ask in (parse("0 2 * * *").count, parse("0 2 * * *").last):
        with pytest.raises(ValueError, match="has no time zone"):
            ask(naive, NOON)
        with pytest.raises(ValueError, match="has no time zone"):
            ask(NOON, naive)
