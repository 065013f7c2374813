"""Each rule of docs/time.md about clocks that jump, with the example that the page gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schedules.timing import interval_rule, parse


def fires(expression: str, zone: str, after: str, through: str) -> list[str]:
    """Fires between two instants, as the zone's own clock shows them, with the offset."""
    start, end = datetime.fromisoformat(after), datetime.fromisoformat(through)
    rule = parse(expression, timezone=zone)
    return [f"{fire.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for fire in rule.fires(start, end)]


def on_gap_day(expression: str) -> list[str]:
    """Berlin, 29 March 2026: 02:00 → 03:00."""
    return fires(expression, "Europe/Berlin", "2026-03-29T00:00+01:00", "2026-03-29T05:59+02:00")


def on_repeat_day(expression: str) -> list[str]:
    """Berlin, 25 October 2026: 03:00 → 02:00."""
    return fires(expression, "Europe/Berlin", "2026-10-25T00:00+02:00", "2026-10-25T05:59+01:00")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["29 03:00+0200"]),
        ("0 2 * * *", ["29 03:00+0200"]),
        ("59 2 29 3 *", ["29 03:00+0200"]),
        ("0,15,30,45 2 * * *", ["29 03:00+0200"]),  # four missing times are one fire, no flood
        ("*/15 2 * * *", ["29 03:00+0200"]),  # the window is not lost
        ("* * 2 * * *", ["29 03:00+0200"]),  # nor are 3,600 missing seconds 3,600 fires
        ("30 2,3 * * *", ["29 03:00+0200", "29 03:30+0200"]),
        ("0 2,3 * * *", ["29 03:00+0200"]),  # the made-up fire and the fire of 03:00 are the same instant
        ("0 */2 * * *", ["29 03:00+0200", "29 04:00+0200"]),
        ("30 2 * * 1-5", []),  # the missing time is on a Sunday
    ],
)
def test_a_missing_time_fires_once_after_the_gap(expression: str, expected: list[str]) -> None:
    assert on_gap_day(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 * * * *", ["29 00:30+0100", "29 01:30+0100", "29 03:30+0200", "29 04:30+0200", "29 05:30+0200"]),
        (
            "30 0-23 * * *",
            ["29 00:30+0100", "29 01:30+0100", "29 03:30+0200", "29 04:30+0200", "29 05:30+0200"],
        ),
    ],
)
def test_an_hourly_time_needs_no_making_up(expression: str, expected: list[str]) -> None:
    assert on_gap_day(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["25 02:30+0200"]),
        ("0 2 * * *", ["25 02:00+0200"]),
        ("0,30 2 * * *", ["25 02:00+0200", "25 02:30+0200"]),
        ("0 3 * * *", ["25 03:00+0100"]),
        ("0 */2 * * *", ["25 02:00+0200", "25 04:00+0100"]),
        ("0 1-3 * * *", ["25 01:00+0200", "25 02:00+0200", "25 03:00+0100"]),
        # a step that leaves one value is a fixed time, however it is written
        ("59/15 2 * * *", ["25 02:59+0200"]),
        ("39-39/1 2 * * *", ["25 02:39+0200"]),
        ("*/60 2 * * *", ["25 02:00+0200"]),
    ],
)
def test_a_repeated_time_fires_the_first_time_only(expression: str, expected: list[str]) -> None:
    assert on_repeat_day(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 * * * *", ["01:00+0200", "02:00+0200", "02:00+0100", "03:00+0100", "04:00+0100", "05:00+0100"]),
        ("0 */1 * * *", ["01:00+0200", "02:00+0200", "02:00+0100", "03:00+0100", "04:00+0100", "05:00+0100"]),
        ("*/30 2 * * *", ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
        ("0/30 2 * * *", ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
    ],
)
def test_what_recurs_fires_in_both_passes(expression: str, expected: list[str]) -> None:
    assert on_repeat_day(expression) == [f"25 {time}" for time in expected]


def test_every_minute_never_pauses() -> None:
    start = datetime(2026, 10, 24, 20, tzinfo=UTC)
    for day in (start, datetime(2026, 3, 28, 20, tzinfo=UTC)):
        minutes = list(parse("* * * * *", timezone="Europe/Berlin").fires(day, day + timedelta(hours=12)))
        assert minutes == [day + timedelta(minutes=number) for number in range(1, 721)]


@pytest.mark.parametrize(
    ("expression", "zone", "after", "through", "expected"),
    [
        # 30 minutes: 02:00 → 02:30 in October, 02:00 → 01:30 in April
        (
            *("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", "2026-10-04T20:00Z"),
            ["04 02:30+1100", "05 02:15+1100"],
        ),
        (
            *("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T20:00Z", "2026-04-05T20:00Z"),
            ["05 01:45+1100", "06 01:45+1030"],
        ),
        (
            *("45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00Z", "2026-04-04T16:30Z"),
            ["05 01:45+1100", "05 01:45+1030", "05 02:45+1030"],
        ),
        # the day begins at 01:00
        (
            *("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00Z", "2018-11-05T12:00Z"),
            ["04 01:00-0200", "05 00:00-0200"],
        ),
        # 23:00 to 24:00 came twice: the first pass counts
        (
            *("30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00Z", "2018-02-19T12:00Z"),
            ["17 23:30-0200", "18 23:30-0300"],
        ),
        # Ramadan: Casablanca goes back and forth within five weeks
        (
            *("30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00Z", "2026-02-16T12:00Z"),
            ["15 02:30+0100", "16 02:30+0000"],
        ),
        (
            *("30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00Z", "2026-03-23T12:00Z"),
            ["22 03:00+0100", "23 02:30+0100"],
        ),
        # 30 December 2011 did not happen in Apia
        (
            *("0 2 * * *", "Pacific/Apia", "2011-12-29T00:00-10:00", "2012-01-01T03:00+14:00"),
            ["29 02:00-1000", "31 00:00+1400", "31 02:00+1400", "01 02:00+1400"],
        ),
        (
            *("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00Z", "2012-02-01T00:00Z"),
            ["31 00:00+1400"],
        ),
        # nor 21 August 1993 in Kwajalein
        (
            *("0 6 21 8 *", "Pacific/Kwajalein", "1993-08-01T00:00Z", "1993-09-01T00:00Z"),
            ["22 00:00+1200"],
        ),
        # and 30 September 1969 came twice there, as did its noon
        (
            *("0 12 30 9 *", "Pacific/Kwajalein", "1969-09-01T00:00Z", "1969-11-01T00:00Z"),
            ["30 12:00+1100"],
        ),
    ],
)
def test_zones_of_all_kinds(expression: str, zone: str, after: str, through: str, expected: list[str]) -> None:
    assert fires(expression, zone, after, through) == expected


def test_an_interval_counts_elapsed_time_through_both_changes() -> None:
    anchor = datetime(2026, 3, 28, 12, tzinfo=UTC)
    rule = interval_rule(6 * 3600, anchor=anchor, timezone="Europe/Berlin")
    times = list(rule.fires(anchor, anchor + timedelta(days=250)))
    assert times == [anchor + timedelta(hours=6 * number) for number in range(1, 1001)]


def test_the_last_second_before_the_gap_and_the_first_after_it() -> None:
    rule = parse("30 2 * * *", timezone="Europe/Berlin")
    gap = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert rule.next_after(gap - timedelta(microseconds=1)) == gap
    assert rule.next_after(gap) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_asked_in_the_second_pass_the_first_is_over() -> None:
    rule = parse("30 2 * * *", timezone="Europe/Berlin")
    second_pass = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    assert rule.next_after(second_pass) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
