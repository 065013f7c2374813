"""A slow, plain second opinion on when a five-field expression fires, and what random tests draw from.

It shares nothing with the package: it looks at every minute of UTC in turn and asks zoneinfo what the
clock on the wall shows.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)
ONE_DAY = timedelta(days=1)

# Both hemispheres, no DST, half hours, a 30-minute DST, gaps at midnight, DST reversed for Ramadan,
# whole days lost (Apia 2011, Kwajalein 1993, Fakaofo 2011, Kiritimati 1995), a jump of two hours, three
# hours and back within months (Casey), offsets of three quarters of an hour.
ZONES = (
    *("UTC", "America/New_York", "Europe/London", "Europe/Dublin", "Asia/Shanghai", "Asia/Kolkata"),
    *("Australia/Sydney", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Fakaofo"),
    *("America/Sao_Paulo", "America/Santiago", "America/Havana", "Africa/Casablanca", "Africa/Cairo"),
    *("Asia/Tehran", "Asia/Beirut", "Asia/Gaza", "Pacific/Chatham", "Antarctica/Troll", "Asia/Pyongyang"),
    *("Antarctica/Casey", "Pacific/Kiritimati", "Asia/Kathmandu", "America/St_Johns"),
)


@dataclass(frozen=True)
class Part:
    """One field: its text, the values it stands for, and how it was written."""

    text: str
    values: frozenset[int]

    @property
    def star(self) -> bool:
        return self.text in {"*", "?", "*/1"}

    @property
    def recurs(self) -> bool:
        return self.star or ("/" in self.text and len(self.values) > 1)


@dataclass(frozen=True)
class Five:
    minute: Part
    hour: Part
    day: Part
    month: Part
    weekday: Part

    @property
    def text(self) -> str:
        return " ".join(part.text for part in (self.minute, self.hour, self.day, self.month, self.weekday))

    def matches(self, local: datetime) -> bool:
        clock = local.minute in self.minute.values and local.hour in self.hour.values
        return clock and local.second == 0 and self.matches_day(local)

    def matches_day(self, local: datetime) -> bool:
        if local.month not in self.month.values:
            return False
        by_day = local.day in self.day.values
        by_weekday = local.isoweekday() % 7 in self.weekday.values
        if self.day.star or self.weekday.star:
            return by_day and by_weekday
        return by_day or by_weekday

    @property
    def every_hour(self) -> bool:
        return len(self.hour.values) == 24


def slow_fires(five: Five, zone: str, after: datetime, minutes: int) -> Iterator[datetime]:
    """The fires of the `minutes` minutes after `after`, which has to be a whole minute."""
    info = ZoneInfo(zone)
    for number in range(1, minutes + 1):
        moment = after + number * MINUTE
        local = moment.astimezone(info)
        again = local.fold and not (five.every_hour or five.minute.recurs)
        if (five.matches(local) and not again) or (not five.every_hour and made_up(five, local, moment)):
            yield moment


def slow_fires_by_second(second: Part, five: Five, zone: str, after: datetime, seconds: int) -> Iterator[datetime]:
    """The same for six fields: the fires of the `seconds` seconds after `after`."""
    info = ZoneInfo(zone)
    for number in range(1, seconds + 1):
        moment = after + timedelta(seconds=number)
        local = moment.astimezone(info)
        again = local.fold and not (five.every_hour or five.minute.recurs or second.recurs)
        match = local.second in second.values and five.matches(local.replace(second=0))
        # Gaps end on whole minutes.
        late = moment.second == 0 and not five.every_hour and made_up(five, local, moment)
        if (match and not again) or late:
            yield moment


def exists(day: datetime, zone: str) -> bool:
    """Whether the zone's calendar has that date."""
    local = day.replace(hour=12, tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC).astimezone(ZoneInfo(zone)).date() == local.date()


def made_up(five: Five, local: datetime, moment: datetime) -> bool:
    """Whether the minutes skipped just before `moment` hold a match."""
    shown = (moment - MINUTE).astimezone(local.tzinfo).replace(tzinfo=None) + MINUTE
    while shown < local.replace(tzinfo=None):
        if five.matches(shown):
            return True
        shown += MINUTE
    return False


@st.composite
def parts(draw: st.DrawFn, low: int, high: int, *, stars: int = 1, near: int | None = None) -> Part:
    """A field; more `stars` make "*" more likely, `near` keeps the drawn numbers low."""
    form = draw(st.sampled_from(["*"] * stars + ["?", "*/n", "one", "range", "a/n", "list", "range/n"]))
    drawn = high if near is None else near
    first = draw(st.integers(low, drawn))
    last = draw(st.integers(first, drawn))
    step = draw(st.integers(1, drawn))
    some = draw(st.lists(st.integers(low, drawn), min_size=1, max_size=4))
    values: dict[str, tuple[str, Iterable[int]]] = {
        "*": ("*", range(low, high + 1)),
        "?": ("?", range(low, high + 1)),
        "*/n": (f"*/{step}", range(low, high + 1, step)),
        "one": (str(first), [first]),
        "range": (f"{first}-{last}", range(first, last + 1)),
        "a/n": (f"{first}/{step}", range(first, high + 1, step)),
        "list": (",".join(map(str, some)), some),
        "range/n": (f"{first}-{last}/{step}", range(first, last + 1, step)),
    }
    text, numbers = values[form]
    return Part(text, frozenset(numbers))


expressions = st.builds(
    Five,
    minute=parts(0, 59),
    hour=parts(0, 23, stars=2),
    day=parts(1, 31, stars=6),
    month=parts(1, 12, stars=12),
    weekday=parts(0, 6, stars=6),
)
# The peculiar ones half of the time, else any of the six hundred.
zones = st.sampled_from(ZONES) | st.sampled_from(sorted(zoneinfo.available_timezones() - {"Factory", "localtime"}))


def instants(first_year: int, last_year: int) -> st.SearchStrategy[datetime]:
    bounds = (datetime(year, 1, 1) for year in (first_year, last_year))  # noqa: DTZ001 — hypothesis wants naive ones
    return st.datetimes(*bounds, timezones=st.just(UTC))


# Offsets are whole minutes from 1973 on, which is what the slow walk by minutes needs.
anywhen = instants(1973, 2090).map(lambda moment: moment.replace(second=0, microsecond=0))


# Most zones have settled down by now: the changes lie before.
changing = instants(1973, 2040).map(lambda moment: moment.replace(second=0, microsecond=0))


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and an instant at which its offset changes."""
    zone, moment = draw(st.sampled_from(ZONES) | zones), draw(changing)
    day = changing_day(zone, moment)
    if day is None:  # then one that changes each year, of either hemisphere
        zone = draw(st.sampled_from(("America/New_York", "Australia/Sydney")))
        day = changing_day(zone, moment) or moment
    return zone, day + next(n * MINUTE for n in range(1, 1441) if jump(zone, day + n * MINUTE) or n == 1440)


@st.composite
def near_changes(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and a whole minute within the ten hours before one of its changes of offset."""
    zone, change = draw(changes())
    return zone, change - draw(st.integers(0, 600)) * MINUTE


class Meeting(NamedTuple):
    five: Five
    zone: str
    after: datetime


@st.composite
def meetings(draw: st.DrawFn) -> Meeting:
    """An expression that is likely to name times that a change of offset skips or repeats, shortly before that."""
    zone, change = draw(changes())
    walls = [(change + n * MINUTE).astimezone(ZoneInfo(zone)) for n in (-1, 0)]
    hours = sorted({wall.hour for wall in (*walls, walls[0] + 30 * MINUTE)})
    low, high = draw(st.sampled_from(hours)), draw(st.sampled_from(hours))
    aimed = [Part(str(low), frozenset({low})), Part(f"{low},{high}", frozenset({low, high}))]
    five = Five(
        minute=draw(st.sampled_from([Part(str(n), frozenset({n})) for n in (0, 15, 30, 59)]) | parts(0, 59)),
        hour=draw(st.sampled_from(aimed) | parts(0, 23, near=3)),
        day=draw(parts(1, 31, stars=24)),
        month=Part("*", frozenset(range(1, 13))),
        weekday=draw(parts(0, 6, stars=24)),
    )
    return Meeting(five, zone, change - draw(st.integers(1, 600)) * MINUTE)


def jump(zone: str, moment: datetime) -> timedelta:
    """By how much the wall clock is put forward at `moment`."""
    before, after = (instant.astimezone(ZoneInfo(zone)).utcoffset() for instant in (moment - MINUTE, moment))
    return (after or timedelta()) - (before or timedelta())


def changing_day(zone: str, moment: datetime) -> datetime | None:
    """The first of the 400 days after `moment` during which the offset changes."""
    info = ZoneInfo(zone)
    days = (moment + timedelta(days=number) for number in range(400))
    return next(
        (day for day in days if day.astimezone(info).utcoffset() != (day + ONE_DAY).astimezone(info).utcoffset()), None
    )
