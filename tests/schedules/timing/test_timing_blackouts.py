"""Where the windows of a blackout calendar lie in UTC, and how a period is cut by them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing_oracle import Meeting, meetings, near_changes

from schedules.timing import Blackouts, Window, merged, parse, parse_blackouts, segments

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
DAY, MINUTE, TICK = timedelta(days=1), timedelta(minutes=1), timedelta.resolution
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def local_windows(text: str, zone: str, after: str, through: str) -> list[str]:
    """The windows as the zone's own clock shows them, with the offset."""
    info = ZoneInfo(zone)
    period = (datetime.fromisoformat(moment).replace(tzinfo=info) for moment in (after, through))
    windows = parse_blackouts(text, timezone=zone).windows(*period)
    return [" to ".join(f"{edge.astimezone(info):%m-%d %H:%M%z}" for edge in window[:2]) for window in windows]


@pytest.mark.parametrize(
    ("text", "after", "through", "expected"),
    [
        ("2026-12-24", "2026-01-01", "2028-01-01", ["12-24 00:00 to 12-25 00:00"]),
        ("2026-12-24..2026-12-26", "2026-01-01", "2028-01-01", ["12-24 00:00 to 12-27 00:00"]),
        ("12-25", "2026-01-01", "2028-01-01", ["12-25 00:00 to 12-26 00:00"] * 2),
        ("12-24..01-02", "2026-01-02", "2027-01-02", ["12-24 00:00 to 01-03 00:00"] * 2),
        ("sat,sun", "2026-02-25", "2026-03-04", ["02-28 00:00 to 03-01 00:00", "03-01 00:00 to 03-02 00:00"]),
        ("fri 22:00-06:00", "2026-02-25", "2026-03-04", ["02-27 22:00 to 02-28 06:00"]),
        (
            "fri-sat 22:00-23:30",
            "2026-02-25",
            "2026-03-04",
            ["02-27 22:00 to 02-27 23:30", "02-28 22:00 to 02-28 23:30"],
        ),
        ("22:00-06:00", "2026-02-25T06:00", "2026-02-26T12:00", ["02-25 22:00 to 02-26 06:00"]),
        ("2026-12-24T18:00..2026-12-27T08:00", "2026-01-01", "2028-01-01", ["12-24 18:00 to 12-27 08:00"]),
        ("12-25\n2026-12-24", "2026-01-01", "2027-01-01", ["12-24 00:00 to 12-25 00:00", "12-25 00:00 to 12-26 00:00"]),
    ],
)
def test_each_form_in_its_own_zone(text: str, after: str, through: str, expected: list[str]) -> None:
    found = local_windows(text, "Asia/Shanghai", after, through)
    assert [window.replace("+0800", "") for window in found] == expected


@pytest.mark.parametrize(
    ("text", "year", "expected"),
    [
        ("02-29", 2027, []),
        ("02-29", 2028, ["02-29 00:00 to 03-01 00:00"]),
        ("02-20..02-29", 2027, ["02-20 00:00 to 03-01 00:00"]),
        ("02-20..02-29", 2028, ["02-20 00:00 to 03-01 00:00"]),
        ("02-29..03-05", 2027, ["03-01 00:00 to 03-06 00:00"]),
        ("02-29..03-05", 2028, ["02-29 00:00 to 03-06 00:00"]),
    ],
)
def test_29_february_in_years_that_have_none(text: str, year: int, expected: list[str]) -> None:
    found = local_windows(text, "UTC", f"{year}-01-05", f"{year}-12-31")
    assert [window.replace("+0000", "") for window in found] == expected


@pytest.mark.parametrize(
    ("text", "zone", "day", "expected"),
    [
        # Berlin, 29 March 2026: 02:00 → 03:00. An edge in the gap is the first instant after it.
        ("02:30-05:00", "Europe/Berlin", "2026-03-29", ["03-29 03:00+0200 to 03-29 05:00+0200"]),
        ("01:00-02:30", "Europe/Berlin", "2026-03-29", ["03-29 01:00+0100 to 03-29 03:00+0200"]),
        ("02:15-02:45", "Europe/Berlin", "2026-03-29", []),
        # Berlin, 25 October 2026: 03:00 → 02:00. It starts in the first pass and ends in the second.
        ("02:30-05:00", "Europe/Berlin", "2026-10-25", ["10-25 02:30+0200 to 10-25 05:00+0100"]),
        ("01:00-02:30", "Europe/Berlin", "2026-10-25", ["10-25 01:00+0200 to 10-25 02:30+0100"]),
        ("02:15-02:45", "Europe/Berlin", "2026-10-25", ["10-25 02:15+0200 to 10-25 02:45+0100"]),
        ("02:00-03:00", "Europe/Berlin", "2026-10-25", ["10-25 02:00+0200 to 10-25 03:00+0100"]),
        # The southern hemisphere, half an hour, two hours.
        ("02:30-05:00", "Australia/Sydney", "2026-10-04", ["10-04 03:00+1100 to 10-04 05:00+1100"]),
        ("02:15-02:30", "Australia/Sydney", "2026-04-05", ["04-05 02:15+1100 to 04-05 02:30+1000"]),
        ("01:45-01:50", "Australia/Lord_Howe", "2026-04-05", ["04-05 01:45+1100 to 04-05 01:50+1030"]),
        ("02:00-02:15", "Australia/Lord_Howe", "2026-10-04", []),
        ("00:00-02:30", "Antarctica/Troll", "2026-03-29", ["03-29 00:00+0000 to 03-29 03:00+0200"]),
        # São Paulo's day began at 01:00, and its last hour came twice.
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04", ["11-04 01:00-0200 to 11-05 00:00-0200"]),
        ("2018-02-17", "America/Sao_Paulo", "2018-02-17", ["02-17 00:00-0200 to 02-18 00:00-0300"]),
        ("22:00-23:30", "America/Sao_Paulo", "2018-02-17", ["02-17 22:00-0200 to 02-17 23:30-0300"]),
        # Havana's first hour came twice: nothing of the day before was shown again, its own window has both.
        ("2024-11-02", "America/Havana", "2024-11-02", ["11-02 00:00-0400 to 11-03 00:00-0400"]),
        ("2024-11-03", "America/Havana", "2024-11-03", ["11-03 00:00-0400 to 11-04 00:00-0500"]),
        ("00:00-00:30", "America/Havana", "2024-11-03", ["11-03 00:00-0400 to 11-03 00:30-0500"]),
        # 30 December 2011 did not happen in Apia; 30 September 1969 came twice in Kwajalein.
        ("2011-12-30", "Pacific/Apia", "2011-12-29", []),
        ("2011-12-29..2011-12-30", "Pacific/Apia", "2011-12-29", ["12-29 00:00-1000 to 12-31 00:00+1400"]),
    ],
)
def test_edges_in_a_gap_and_in_a_repetition(text: str, zone: str, day: str, expected: list[str]) -> None:
    assert local_windows(text, zone, f"{day}T00:00", f"{day}T23:59") == expected


# ------------------------------------------------------------------------------- a second opinion


@st.composite
def lines(draw: st.DrawFn, near: date) -> str:
    """A line of any form, likely to concern the days around `near`."""
    clock = st.builds("{:02}:{:02}".format, st.integers(0, 23) | st.integers(0, 3), st.sampled_from([0, 15, 30, 45]))
    begins, ends = draw(st.tuples(clock, clock).filter(lambda pair: pair[0] != pair[1]))
    first, last = sorted(near + DAY * draw(st.integers(-3, 5)) for _ in range(2))
    name = draw(st.sampled_from(["mon", "fri", "sat-sun", "tue-thu", "fri-mon", "sun,wed"]))
    forms = [
        *(f"{first}", f"{first}..{last}", f"{first:%m-%d}", f"{first:%m-%d}..{last:%m-%d}", name),
        *(f"{begins}-{ends}", f"{name} {begins}-{ends}", f"{begins}-24:00"),
        f"{first}T{min(begins, ends)}..{last}T{max(begins, ends)}",
    ]
    return draw(st.sampled_from(forms))


DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def spelled_out(line: str, day: date) -> Iterator[tuple[datetime, datetime]]:
    """The local windows of `line` that begin on `day`, read in the plainest way."""
    edges = line.split("..")
    if "T" in line:
        if edges[0][:10] == day.isoformat():
            yield datetime.fromisoformat(edges[0]), datetime.fromisoformat(edges[1])
    elif line[:4].isdigit():
        if edges[0] == day.isoformat():
            yield midnight(day), midnight(date.fromisoformat(edges[-1])) + DAY
    elif line[:2].isdigit() and line[2] == "-":
        if edges[0] == f"{day:%m-%d}":
            end = next(day + DAY * number for number in range(366) if f"{day + DAY * number:%m-%d}" == edges[-1])
            yield midnight(day), midnight(end) + DAY
    else:
        names, _, hours = line.partition(" ") if line[0].isalpha() else ("mon-sun", "", line)
        if day.weekday() in weekdays_of(names):
            yield spelled_hours(day, hours or "00:00-24:00")


def weekdays_of(names: str) -> set[int]:
    days: set[int] = set()
    for term in names.split(","):
        first, last = DAY_NAMES.index(term[:3]), DAY_NAMES.index(term[-3:])
        days |= {number % 7 for number in range(first, last + (1 if last >= first else 8))}
    return days


def spelled_hours(day: date, hours: str) -> tuple[datetime, datetime]:
    begins, ends = (midnight(day) + timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in hours.split("-"))
    return begins, ends if ends > begins else ends + DAY


def midnight(day: date) -> datetime:
    return datetime.combine(day, time())


Edges = tuple[datetime, datetime]


def slow_windows(line: str, zone: str, begin: datetime, end: datetime) -> list[Edges]:
    """The windows of [begin, end), cut to it, by a look at every minute: a window starts at the first that shows
    its start or more, and ends after the last that shows less than its end.
    """
    info = ZoneInfo(zone)
    minutes = [begin + number * MINUTE for number in range((end - begin) // MINUTE)]
    walls = [minute.astimezone(info).replace(tzinfo=None) for minute in minutes]
    found = []
    for number in range(-10, (end - begin).days + 2):
        for start, stop in spelled_out(line, begin.date() + number * DAY):
            first = next((minute for minute, wall in zip(minutes, walls, strict=True) if wall >= start), end)
            before = (minute for minute, wall in zip(reversed(minutes), reversed(walls), strict=True) if wall < stop)
            last = next(before, begin - MINUTE) + MINUTE
            if first < last:
                found.append((first, last))
    return sorted(found)


@settings(max_examples=70, deadline=None)
@given(near_changes(), st.data())
def test_agrees_with_the_slow_walk_around_a_change_of_offset(place: tuple[str, datetime], data: st.DataObject) -> None:
    zone, after = place
    line = data.draw(lines(after.date()))
    # Two days on both sides: the walk does not see what the wall showed before it began.
    begin, end = after - 2 * DAY, after + 4 * DAY
    windows = parse_blackouts(line, timezone=zone).windows(begin, end)
    cut = [(max(window.start, begin), min(window.end, end)) for window in windows]
    expected = slow_windows(line, zone, begin, end)
    # What starts at the very end overlaps (begin, end], but has nothing in [begin, end).
    assert [edges for edges in cut if edges[0] < end] == expected


# --------------------------------------------------------------- one moment, a period, many calendars


@st.composite
def calendars(draw: st.DrawFn, zone: str, near: datetime) -> Blackouts:
    text = "\n".join(draw(st.lists(lines(near.date()), max_size=5)))
    return parse_blackouts(text, timezone=zone)


@settings(max_examples=150, deadline=None)
@given(near_changes(), st.data())
def test_a_moment_is_black_exactly_in_the_windows(place: tuple[str, datetime], data: st.DataObject) -> None:
    zone, after = place
    calendar = data.draw(calendars(zone, after))
    windows = list(calendar.windows(after, after + 2 * DAY))
    assert [window.start for window in windows] == sorted(window.start for window in windows)
    edges = [edge + shift for window in windows for edge in window[:2] for shift in (-TICK, timedelta(), TICK)]
    drawn = data.draw(st.lists(st.timedeltas(TICK, 2 * DAY), max_size=5))
    for moment in (*edges, *(after + distance for distance in drawn)):
        if after < moment <= after + 2 * DAY:
            holding = [window for window in windows if window.start <= moment < window.end]
            found = calendar.window_at(moment)
            assert (found in holding) if holding else found is None


@settings(max_examples=150, deadline=None)
@given(near_changes(), st.data(), st.integers(1, 100))
def test_several_calendars_make_disjoint_pieces(place: tuple[str, datetime], data: st.DataObject, hours: int) -> None:
    zone, after = place
    some = [data.draw(calendars(name, after)) for name in (zone, "Asia/Shanghai")]
    through = after + timedelta(hours=hours)
    windows = [window for calendar in some for window in calendar.windows(after, through)]
    pieces = list(merged(some, after, through))
    for piece, following in pairwise(pieces):
        assert piece.start < piece.end <= following.start < following.end
        assert piece.end < following.start or piece.text != following.text
    instants = {edge + shift for window in windows for edge in window[:2] for shift in (-TICK, timedelta())}
    for moment in {instant for instant in instants if after < instant <= through}:
        texts = {window.text for window in windows if window.start <= moment < window.end}
        named = [piece.text for piece in pieces if piece.start <= moment < piece.end]
        assert (named[0] in texts) if texts else named == []


@settings(max_examples=150, deadline=None)
@given(meetings(), st.data(), st.integers(0, 100))
def test_a_period_is_cut_into_black_and_free_segments(meeting: Meeting, data: st.DataObject, hours: int) -> None:
    five, zone, after = meeting
    some = [data.draw(calendars(name, after)) for name in (zone, "Asia/Shanghai")]
    rule, through = parse(five.text, timezone=zone), after + timedelta(hours=hours)
    parts = list(segments(some, after, through))
    assert [part.after for part in parts] + [through] == [after] + [part.through for part in parts]
    assert all(part.after < part.through for part in parts)
    assert sum(rule.count(part.after, part.through) for part in parts) == rule.count(after, through)
    for part in parts:
        for fire in islice(rule.fires(part.after, part.through), 50):
            assert any(calendar.window_at(fire) for calendar in some) is (part.text is not None)


def test_pieces_that_touch_and_say_the_same_are_one() -> None:
    weekends = parse_blackouts("sat,sun", timezone="UTC")
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    assert list(merged([weekends], NOON, NOON + 7 * DAY)) == [Window(monday - 2 * DAY, monday, "sat,sun")]
    nights = parse_blackouts("fri 22:00-06:00", timezone="UTC")
    friday = datetime(2026, 2, 27, 22, tzinfo=UTC)
    assert list(merged([weekends, nights], NOON, NOON + 7 * DAY)) == [
        Window(friday, friday + timedelta(hours=8), "fri 22:00-06:00"),
        Window(friday + timedelta(hours=8), monday, "sat,sun"),
    ]


def test_the_first_calendar_and_line_names_the_piece() -> None:
    one, other = (parse_blackouts(text, timezone="UTC") for text in ("02-26\n2026-02-26", "thu"))
    assert [piece.text for piece in merged([one, other], NOON, NOON + 2 * DAY)] == ["02-26"]
    assert [piece.text for piece in merged([other, one], NOON, NOON + 2 * DAY)] == ["thu"]
    window = one.window_at(NOON + DAY)
    assert window is not None
    assert window.text == "02-26"


def test_a_window_holds_its_start_and_not_its_end() -> None:
    calendar = parse_blackouts("12:00-13:00", timezone="UTC")
    window = Window(NOON, NOON + timedelta(hours=1), "12:00-13:00")
    assert calendar.window_at(window.start - TICK) is None
    assert calendar.window_at(window.start) == calendar.window_at(window.end - TICK) == window
    assert calendar.window_at(window.end) is None
    assert list(calendar.windows(NOON - DAY + timedelta(hours=1), NOON)) == [window]
    assert list(calendar.windows(NOON, NOON)) == []
    fires = parse("0 * * * *").fires(NOON - timedelta(hours=2), NOON + timedelta(hours=2))
    assert [calendar.window_at(fire) is None for fire in fires] == [True, False, True, True]


def test_the_second_pass_is_not_what_comes_after_it() -> None:
    """Berlin shows 02:00 to 03:00 twice on 25 October 2026; what starts at 03:00 starts after both."""
    again = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 for the second time
    assert parse_blackouts("03:00-05:00", timezone="Europe/Berlin").window_at(again) is None
    assert parse_blackouts("01:00-02:00", timezone="Europe/Berlin").window_at(again - timedelta(hours=1)) is None
    for line in ("02:00-02:45", "01:00-02:45", "02:10-02:20", "02:40-05:00"):
        calendar = parse_blackouts(line, timezone="Europe/Berlin")
        window = next(calendar.windows(again - timedelta(hours=1), again + timedelta(hours=1)))
        assert (calendar.window_at(again) is not None) == (window.start <= again < window.end)


def test_an_empty_calendar_blacks_out_nothing() -> None:
    empty = parse_blackouts("# nothing yet\n", timezone="Europe/Berlin")
    assert empty.window_at(NOON) is None
    assert list(empty.windows(EARLIEST, LATEST)) == []
    assert list(merged([empty], NOON, NOON + DAY)) == list(merged([], NOON, NOON + DAY)) == []
    assert list(segments([empty], NOON, NOON + DAY)) == [(NOON, NOON + DAY, None)]
    assert list(segments([], NOON, NOON)) == []


def test_it_is_lazy_and_the_ends_of_time_raise_nothing() -> None:
    calendar = parse_blackouts("22:00-06:00\n12-24..01-02\nsat,sun", timezone="Pacific/Kiritimati")
    first = next(calendar.windows(EARLIEST, LATEST))
    assert first.end.year == 1970
    assert next(merged([calendar], EARLIEST, LATEST)).end.year == 1970
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        calendar = parse_blackouts("00:00-24:00\n12-24..01-02\n9997-12-31", timezone=zone)
        assert calendar.window_at(datetime(9997, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) is not None
        assert len(list(calendar.windows(LATEST - 800 * DAY, LATEST))) > 60
        for moment in (EARLIEST, LATEST, datetime(1969, 12, 31, tzinfo=UTC), datetime(9998, 1, 2, tzinfo=UTC)):
            assert calendar.window_at(moment) is None


def test_calendars_are_values_and_parsed_once() -> None:
    text = "sat,sun\n12-24..01-02\n2026-12-24T18:00..2026-12-27T08:00"
    calendar = parse_blackouts(text, timezone="Asia/Shanghai")
    assert parse_blackouts(text, timezone="Asia/Shanghai") is calendar
    again = pickle.loads(pickle.dumps(calendar))  # noqa: S301 — our own bytes
    assert again == calendar != parse_blackouts(text, timezone="UTC")
    assert hash(again) == hash(calendar)


def test_a_naive_datetime_is_an_error() -> None:
    naive, calendar = NOON.replace(tzinfo=None), parse_blackouts("sat", timezone="UTC")
    for ask in (
        lambda: calendar.window_at(naive),
        lambda: calendar.windows(naive, NOON),
        lambda: calendar.windows(NOON, naive),
        lambda: list(segments([], naive, NOON)),
    ):
        with pytest.raises(ValueError, match="has no time zone"):
            ask()
