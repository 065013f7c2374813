"""What is said about a fire that a clock change moved or repeats."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from timing_oracle import Meeting, meetings

from schedules.timing import interval_rule, parse, within
from schedules.timing.clocknotes import ClockNote, clock_notes


def notes(expression: str, zone: str, after: str, hours: int = 48) -> list[ClockNote]:
    rule, start = parse(expression, timezone=zone), datetime.fromisoformat(after)
    fires = list(rule.fires(start, start + timedelta(hours=hours)))
    noted = clock_notes(rule, fires)
    assert list(noted) == [fire for fire in fires if fire in noted], "in order, of these fires only"
    return list(noted.values())


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("30 2 * * *", "02:30 does not exist that day: fires at 03:00"),
        ("0,30 2,3 * * *", "02:00 and 02:30 do not exist that day: one fire at 03:00"),
        ("*/15 2 * * *", "02:00, 02:15, 02:30 and 1 more do not exist that day: one fire at 03:00"),
        ("* * 2 * * *", "02:00:00, 02:00:01, 02:00:02 and 3,597 more do not exist that day: one fire at 03:00:00"),
    ],
)
def test_a_moved_fire(expression: str, text: str) -> None:
    assert [note.en for note in notes(expression, "Europe/Berlin", "2026-03-28T22:00Z", hours=4)] == [text]


def test_a_repeated_fixed_time() -> None:
    (note,) = notes("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z")
    assert note.en == "02:30 comes twice that day: fires the first time only"
    assert note.zh == "当天 02:30 出现两次：只在第一次触发"


def test_a_repeated_recurring_time() -> None:
    texts = [note.en for note in notes("30 * * * *", "Europe/Berlin", "2026-10-24T12:00Z")]
    assert texts == ["02:30 comes twice that day: this is the first", "02:30 comes twice that day: this is the second"]


def test_a_missing_day_is_named_with_its_date() -> None:
    (note,) = notes("30 2 * * *", "Pacific/Apia", "2011-12-29T12:00Z")
    assert note.en == "2011-12-30 02:30 does not exist: fires at 2011-12-31 00:00"
    assert note.zh == "没有 2011-12-30 02:30：在 2011-12-31 00:00 触发"


def test_chinese_of_many() -> None:
    (note,) = notes("*/15 2 * * *", "Europe/Berlin", "2026-03-28T22:00Z", hours=4)
    assert note.zh == "当天没有 02:00、02:15、02:30 等 4 个时间：合并为一次，在 03:00 触发"


def test_a_rule_between_dates_is_looked_through() -> None:
    start = datetime.fromisoformat("2026-03-28T22:00Z")
    rule = within(parse("30 2 * * *", timezone="Europe/Berlin"), starts_at=start, ends_at=None)
    assert [note.kind for note in clock_notes(rule, list(rule.fires(start, start + timedelta(days=1)))).values()] == [
        "moved"
    ]


def test_there_is_nothing_to_say_of_an_hourly_time_in_a_gap_nor_of_an_interval() -> None:
    assert notes("30 * * * *", "Europe/Berlin", "2026-03-28T22:00Z") == []
    anchor = datetime.fromisoformat("2026-10-25T00:30Z")
    assert clock_notes(interval_rule(3600, anchor=anchor, timezone="Europe/Berlin"), [anchor]) == {}
    assert clock_notes(parse("0 2 * * *"), []) == {}


@settings(max_examples=250, deadline=None)
@given(meetings())
def test_agrees_with_what_the_clock_on_the_wall_shows(meeting: Meeting) -> None:
    five, wall = meeting.five, ZoneInfo(meeting.zone)
    rule = parse(five.text, timezone=meeting.zone)
    fires = list(rule.fires(meeting.after, meeting.after + timedelta(hours=40)))
    noted = clock_notes(rule, fires)
    for fire in fires:
        local, note = fire.astimezone(wall), noted.get(fire)
        twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset() and _exists(local)
        if not five.matches(local):
            assert note is not None, "only a missing time fires when its own does not match"
            assert note.kind == "moved"
        elif note is None:
            assert not twice
        elif note.kind != "moved":
            assert twice
            assert note.local == local.replace(tzinfo=None, fold=0)
            assert (note.kind == "second") == bool(local.fold)


def _exists(local: datetime) -> bool:
    """Whether both readings of a local time are instants that show it: it comes twice."""
    both = [local.replace(fold=fold) for fold in (0, 1)]
    shown = [each.timestamp() for each in both]
    return shown[0] < shown[1]
