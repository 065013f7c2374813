"""A rule with a start and an end is the same rule, less what lies outside."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing_oracle import Meeting, meetings

from schedules.timing import Rule, interval_rule, once_rule, parse, within

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta.resolution
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

offsets = st.none() | st.integers(-40, 90).map(lambda number: timedelta(minutes=30 * number))


@settings(max_examples=150, deadline=None)
@given(meetings(), offsets, offsets, st.integers(0, 40))
def test_what_lies_outside_is_left_out_and_nothing_else(
    meeting: Meeting, first: timedelta | None, last: timedelta | None, hours: int
) -> None:
    five, zone, after = meeting
    rule, through = parse(five.text, timezone=zone), after + hours * HOUR
    starts_at, ends_at = (None if offset is None else after + offset for offset in (first, last))
    expected = [
        fire
        for fire in rule.fires(after, through)
        if (starts_at is None or starts_at <= fire) and (ends_at is None or fire <= ends_at)
    ]
    bounded = within(rule, starts_at=starts_at, ends_at=ends_at)
    assert list(bounded.fires(after, through)) == expected
    assert bounded.count(after, through) == len(expected)
    assert bounded.last(after, through) == (expected[-1] if expected else None)
    following = bounded.next_after(after)
    assert (following if following is not None and following <= through else None) == next(iter(expected), None)


@pytest.mark.parametrize("rule", [parse("0 * * * *"), interval_rule(3600, anchor=NOON), once_rule(NOON)])
def test_the_start_and_the_end_themselves_may_fire(rule: Rule) -> None:
    bounded = within(rule, starts_at=NOON, ends_at=NOON)
    assert bounded.next_after(EARLIEST) == NOON
    assert list(bounded.fires(EARLIEST, LATEST)) == [NOON]
    assert (bounded.count(EARLIEST, LATEST), bounded.last(EARLIEST, LATEST)) == (1, NOON)
    assert bounded.next_after(NOON) is None
    for starts_at, ends_at in ((NOON + TICK, NOON + 2 * TICK), (NOON - 2 * TICK, NOON - TICK)):
        assert within(rule, starts_at=starts_at, ends_at=ends_at).next_after(EARLIEST) is None


def test_an_interval_keeps_its_anchor() -> None:
    bounded = within(interval_rule(7200, anchor=NOON), starts_at=NOON + HOUR, ends_at=None)
    assert bounded.next_after(NOON) == NOON + 2 * HOUR


def test_no_bounds_are_the_rule_itself() -> None:
    rule = parse("0 2 * * *", timezone="Asia/Shanghai")
    assert within(rule, starts_at=None, ends_at=None) is rule
    assert within(rule, starts_at=EARLIEST, ends_at=LATEST).next_after(NOON) == rule.next_after(NOON)


def test_an_end_before_the_start_never_fires() -> None:
    bounded = within(parse("* * * * *"), starts_at=NOON, ends_at=NOON - HOUR)
    assert bounded.next_after(EARLIEST) is None
    assert list(bounded.fires(EARLIEST, LATEST)) == []
    assert (bounded.count(EARLIEST, LATEST), bounded.last(EARLIEST, LATEST)) == (0, None)


def test_bounds_in_bounds() -> None:
    inner = within(parse("0 * * * *"), starts_at=NOON, ends_at=NOON + 9 * HOUR)
    outer = within(inner, starts_at=NOON - HOUR, ends_at=NOON + 2 * HOUR)
    assert list(outer.fires(EARLIEST, LATEST)) == [NOON, NOON + HOUR, NOON + 2 * HOUR]


def test_it_is_lazy() -> None:
    endless = within(parse("* * * * * *"), starts_at=NOON, ends_at=None)
    fires = endless.fires(EARLIEST, LATEST)
    assert [next(fires), next(fires)] == [NOON, NOON + timedelta(seconds=1)]


def test_it_is_the_same_kind_of_value() -> None:
    rule = parse("0 2 * * *", timezone="Asia/Shanghai")
    bounded = within(rule, starts_at=NOON.astimezone(timezone(8 * HOUR)), ends_at=None)
    assert (bounded.kind, bounded.expression, bounded.timezone) == ("cron", "0 2 * * *", "Asia/Shanghai")
    assert bounded == within(rule, starts_at=NOON, ends_at=None) != rule
    assert pickle.loads(pickle.dumps(bounded)) == bounded  # noqa: S301 — our own bytes
    assert hash(bounded) == hash(within(rule, starts_at=NOON, ends_at=None))


def test_a_naive_bound_is_an_error() -> None:
    naive = NOON.replace(tzinfo=None)
    for bounds in ({"starts_at": naive, "ends_at": None}, {"starts_at": None, "ends_at": naive}):
        with pytest.raises(ValueError, match="has no time zone"):
            within(parse("0 2 * * *"), **bounds)
