"""Random expressions, zones and instants against the slow second opinion."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from timing_oracle import (
    Five,
    Meeting,
    Part,
    anywhen,
    exists,
    expressions,
    instants,
    made_up,
    meetings,
    parts,
    slow_fires,
    slow_fires_by_second,
    zones,
)

from schedules.timing import interval_rule, parse

TWO_DAYS = 2 * 24 * 60  # minutes
THREE_HOURS = 3 * 3600  # seconds
LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


@settings(max_examples=200, deadline=None)
@given(meetings())
def test_agrees_with_the_slow_walk_around_a_change_of_offset(meeting: Meeting) -> None:
    five, zone, after = meeting
    fires = parse(five.text, timezone=zone).fires(after, after + timedelta(minutes=TWO_DAYS))
    assert list(fires) == list(slow_fires(five, zone, after, TWO_DAYS))


@settings(max_examples=100, deadline=None)
@given(expressions, zones, anywhen)
def test_agrees_with_the_slow_walk_anywhere(five: Five, zone: str, after: datetime) -> None:
    fires = parse(five.text, timezone=zone).fires(after, after + timedelta(minutes=TWO_DAYS))
    assert list(fires) == list(slow_fires(five, zone, after, TWO_DAYS))


@settings(max_examples=60, deadline=None)
@given(parts(0, 59), meetings(), st.integers(0, 600))
def test_six_fields_agree_with_the_slow_walk_by_seconds(second: Part, meeting: Meeting, minutes: int) -> None:
    five, zone, start = meeting
    after = start + timedelta(minutes=minutes)
    fires = parse(f"{second.text} {five.text}", timezone=zone).fires(after, after + timedelta(seconds=THREE_HOURS))
    assert list(fires) == list(slow_fires_by_second(second, five, zone, after, THREE_HOURS))


@settings(max_examples=200, deadline=None)
@given(expressions, zones, anywhen)
def test_next_is_a_match_and_no_day_between_has_one(five: Five, zone: str, moment: datetime) -> None:
    following = parse(five.text, timezone=zone).next_after(moment)
    if following is None:
        assert not any(five.matches_day(LEAP_YEAR + timedelta(days=day)) for day in range(366))
        return
    before, local = moment.astimezone(ZoneInfo(zone)), following.astimezone(ZoneInfo(zone))
    assert five.matches(local) or made_up(five, local, following)
    for number in range(1, (local.date() - before.date()).days):
        day = datetime.combine(before.date(), time()) + timedelta(days=number)
        assert not five.matches_day(day) or not exists(day, zone)


@settings(max_examples=300, deadline=None)
@given(expressions, zones, instants(1950, 2150))
def test_next_is_strictly_later_and_none_lies_between(five: Five, zone: str, moment: datetime) -> None:
    rule = parse(five.text, timezone=zone)
    following = rule.next_after(moment)
    if following is None:
        assert not any(five.matches_day(LEAP_YEAR + timedelta(days=day)) for day in range(366))
        return
    assert following > moment
    assert following.tzinfo is UTC
    assert list(rule.fires(moment, following)) == [following]
    assert rule.next_after(following - timedelta(microseconds=1)) == following


@settings(max_examples=150, deadline=None)
@given(meetings(), st.lists(st.integers(1, 6000), min_size=1, max_size=40))
def test_one_jump_and_small_ticks_give_the_same_fires(meeting: Meeting, ticks: list[int]) -> None:
    five, zone, start = meeting
    rule = parse(five.text, timezone=zone)
    ticked, moment = [], start
    for seconds in ticks:
        ticked += rule.fires(moment, moment + timedelta(seconds=seconds))
        moment += timedelta(seconds=seconds)
    assert ticked == list(rule.fires(start, moment))


@settings(max_examples=150, deadline=None)
@given(expressions, zones, instants(1950, 2150), st.lists(st.integers(0, 500 * 86400), min_size=1, max_size=5))
def test_a_cut_anywhere_changes_nothing(five: Five, zone: str, start: datetime, cuts: list[int]) -> None:
    rule = parse(five.text, timezone=zone)
    moments = [start, *(start + timedelta(seconds=seconds, microseconds=seconds) for seconds in sorted(cuts))]
    whole = rule.count(start, moments[-1])
    assert sum(rule.count(*pair) for pair in pairwise(moments)) == whole
    lasts = [last for pair in pairwise(moments) if (last := rule.last(*pair))]
    assert rule.last(start, moments[-1]) == (lasts[-1] if lasts else None)
    assert lasts == sorted(set(lasts))
    assert (whole == 0) == (not lasts)


@settings(max_examples=100, deadline=None)
@given(meetings(), st.integers(1, 3600))
def test_a_clock_set_back_sees_the_same_fires_again(meeting: Meeting, seconds: int) -> None:
    five, zone, start = meeting
    rule, through = parse(five.text, timezone=zone), start + timedelta(hours=6)
    seen = list(rule.fires(start, through))
    again = list(rule.fires(start - timedelta(seconds=seconds), through))
    assert again[len(again) - len(seen) :] == seen
    assert all(fire <= start for fire in again[: len(again) - len(seen)])
    assert list(rule.fires(start, through)) == seen


@settings(max_examples=100, deadline=None)
@given(expressions, instants(1992, 2090), st.integers(0, 2 * 24 * 60))
def test_shanghai_is_utc_eight_hours_earlier(five: Five, after: datetime, minutes: int) -> None:
    """Two zones without daylight saving name the same local times, also at the full hour and at a month's end."""
    ahead, through = timedelta(hours=8), after + timedelta(minutes=minutes)
    shanghai = parse(five.text, timezone="Asia/Shanghai").fires(after - ahead, through - ahead)
    assert [fire + ahead for fire in shanghai] == list(parse(five.text, timezone="UTC").fires(after, through))


@settings(max_examples=150, deadline=None)
@given(meetings())
def test_stepping_from_fire_to_fire_gives_the_same_fires(meeting: Meeting) -> None:
    five, zone, start = meeting
    rule = parse(five.text, timezone=zone)
    stepped, moment = [], rule.next_after(start)
    while moment is not None and moment <= start + timedelta(hours=30) and len(stepped) < 200:
        stepped.append(moment)
        moment = rule.next_after(moment)
    expected = list(rule.fires(start, start + timedelta(hours=30)))
    assert stepped == expected[:200]


@settings(max_examples=150, deadline=None)
@given(expressions, zones)
def test_the_normal_text_is_a_fixed_point(five: Five, zone: str) -> None:
    rule = parse(f"  CRON_TZ={zone}  {five.text} ")
    assert parse(rule.expression, timezone=rule.timezone) == rule


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 59),
    st.integers(0, 23),
    zones,
    instants(1950, 2100),
)
def test_a_daily_time_never_fires_more_often_than_days_pass(minute: int, hour: int, zone: str, start: datetime) -> None:
    rule = parse(f"{minute} {hour} * * *", timezone=zone)
    fires = list(rule.fires(start, start + timedelta(days=400)))
    assert 399 <= len(fires) <= 401


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 366 * 86400),
    instants(1990, 2090),
    st.integers(-(10**9), 10**9),
)
def test_an_interval_stays_on_its_grid(seconds: int, anchor: datetime, distance: int) -> None:
    rule = interval_rule(seconds, anchor=anchor)
    grid = anchor.replace(microsecond=0)
    moment = grid + timedelta(seconds=distance)
    following = rule.next_after(moment)
    assert following is not None
    assert following > moment
    assert (following - grid) % timedelta(seconds=seconds) == timedelta()
    assert following == grid or following - moment <= timedelta(seconds=seconds)
