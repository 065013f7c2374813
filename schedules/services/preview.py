"""What a timing means: in words, and as the next fires in the schedule's zone, UTC and the reader's.

Nothing here needs an organisation, and :func:`preview_expression` needs no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Literal, overload
from zoneinfo import ZoneInfo

from django.utils import timezone as clock

from fleet.errors import InvalidInput
from schedules import timing
from schedules.engine.course import expected_rule, planned_rule
from schedules.engine.planning import calendars_of
from schedules.forecast.pieces import Pieces
from schedules.models import Schedule
from schedules.timing.clocknotes import ClockNote, clock_notes

USUAL_COUNT = 10
MOST_FIRES = 1_000_000  # two years of a minutely schedule
END_OF_TIME = datetime.max.replace(tzinfo=UTC)

#: Why a preview holds fewer fires than asked for: it fires by hand only; nothing is left of it (or its date never
#: comes); its end date passed; its last run is among them.
Ending = Literal["manual", "never", "ended", "limit"]


@dataclass(frozen=True, kw_only=True)
class Words:
    """One sentence in the languages of the product."""

    en: str
    zh: str


@dataclass(frozen=True, kw_only=True)
class Fire:
    """A fire in UTC, in the schedule's zone and, when one was named, in the reader's, with what there is to say.

    ``note`` is there when a clock change moved or repeats it; ``blackout`` is the text of the window that keeps it
    from becoming a run.
    """

    utc: datetime
    local: datetime
    reader: datetime | None = None
    note: ClockNote | None = None
    blackout: str | None = None


@dataclass(frozen=True, kw_only=True)
class Fires(Sequence[Fire]):
    """Fires in order, each made when it is looked at: a year of a minutely schedule has half a million."""

    moments: Sequence[datetime]
    zone: ZoneInfo
    reader_zone: ZoneInfo | None
    notes: Mapping[datetime, ClockNote]
    pieces: Pieces

    def __len__(self) -> int:
        return len(self.moments)

    @overload
    def __getitem__(self, index: int) -> Fire: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fire]: ...
    def __getitem__(self, index: int | slice) -> Fire | list[Fire]:
        moments = self.moments[index]
        return self._fire(moments) if isinstance(moments, datetime) else [self._fire(each) for each in moments]

    def _fire(self, moment: datetime) -> Fire:
        return Fire(
            utc=moment,
            local=_in(self.zone, moment),
            reader=_in(self.reader_zone, moment) if self.reader_zone else None,
            note=self.notes.get(moment),
            blackout=self.pieces.text_at(moment),
        )


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The next fires after an instant. ``timezone`` is the zone that counts: a ``CRON_TZ=`` wins over the schedule's.

    ``runs_left`` is what is left of a schedule's maximum; ``paused`` the reason of one that is disabled (may be
    empty), whose fires are those it would have.
    """

    expression: str
    timezone: str
    kind: timing.Kind
    words: Words
    after: datetime
    fires: Fires
    ending: Ending | None = None
    jitter_seconds: int = 0
    runs_left: int | None = None
    paused: str | None = None


def words_of(expression: str, *, timezone: str = "UTC", job_name: str = "") -> Words:
    """The timing in words. Never raises: a bad text comes back with its problem."""
    return Words(
        en=timing.describe(expression, timezone=timezone, language="en", job_name=job_name),
        zh=timing.describe(expression, timezone=timezone, language="zh", job_name=job_name),
    )


def preview_expression(
    *,
    expression: str,
    timezone: str = "UTC",
    job_name: str = "",
    after: datetime | None = None,
    count: int = USUAL_COUNT,
    reader_timezone: str | None = None,
    anchor: datetime | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Preview:
    """The first ``count`` fires after ``after`` (now), of a timing that need not be saved.

    An interval counts from ``anchor``, else from ``after``; ``job_name`` is what ``~`` hashes. A date that never comes
    has no fires. Raises :class:`InvalidInput` that names the field, its value and what would do.
    """
    after = after or clock.now()
    try:
        rule = timing.parse(expression, timezone=timezone, job_name=job_name, anchor=anchor or after)
    except timing.ExpressionError as error:
        raise refusal(error) from error
    bounded = timing.within(rule, starts_at=starts_at, ends_at=ends_at)
    fires = list(islice(bounded.fires(after, END_OF_TIME), _checked(count)))
    return Preview(
        expression=expression,
        timezone=rule.timezone,
        kind=rule.kind,
        words=words_of(expression, timezone=timezone, job_name=job_name),
        after=after,
        fires=_fires(rule, fires, reader_timezone, Pieces()),
        ending=_ending(rule, fires, count, ends_at),
    )


def preview_schedule(
    *,
    schedule: Schedule,
    after: datetime | None = None,
    count: int = USUAL_COUNT,
    reader_timezone: str | None = None,
) -> Preview:
    """The same of a saved schedule: between its dates, as far as its maximum of runs goes, blackouts marked.

    A fire inside a blackout becomes no run and does not count for the maximum.
    """
    after = after or clock.now()
    try:
        rule = planned_rule(schedule)
    except timing.ExpressionError as error:
        raise refusal(error) from error
    fires = list(islice(rule.fires(after, END_OF_TIME), _checked(count)))
    pieces = _pieces(schedule, after, fires[-1]) if fires else Pieces()
    left = runs_left(schedule)
    kept = _until_limit(fires, pieces, left)
    used_up = left is not None and (len(kept) < len(fires) or left == 0)
    return Preview(
        expression=schedule.expression,
        timezone=rule.timezone,
        kind=rule.kind,
        words=words_of(schedule.expression, timezone=schedule.timezone, job_name=schedule.name),
        after=after,
        fires=_fires(rule, kept, reader_timezone, pieces),
        ending="limit" if used_up else _ending(expected_rule(schedule), fires, count, schedule.ends_at),
        jitter_seconds=schedule.jitter_seconds,
        runs_left=left,
        paused=None if schedule.enabled else schedule.paused_reason,
    )


def runs_left(schedule: Schedule) -> int | None:
    """How many more fires may become runs; None: any number."""
    return None if schedule.max_runs is None else max(0, schedule.max_runs - schedule.planned_runs)


def refusal(error: timing.ExpressionError) -> InvalidInput:
    """A timing's problem as a refusal of the field that a person filled in; its text names value and example."""
    field = error.field if error.field in {"timezone", "reader_timezone", "from"} else "expression"
    return InvalidInput(str(error), field=field)


def _checked(count: int) -> int:
    if not 1 <= count <= MOST_FIRES:
        raise InvalidInput(f"count must be from 1 to {MOST_FIRES:,}, not {count}; try {USUAL_COUNT}.", field="count")
    return count


def _fires(rule: timing.Rule, moments: Sequence[datetime], reader_timezone: str | None, pieces: Pieces) -> Fires:
    return Fires(
        moments=moments,
        zone=timing.check_timezone(rule.timezone),
        reader_zone=_reader_zone(reader_timezone),
        notes=clock_notes(rule, moments),
        pieces=pieces,
    )


def _reader_zone(name: str | None) -> ZoneInfo | None:
    try:
        return timing.check_timezone(name) if name is not None else None
    except timing.ExpressionError as error:
        raise InvalidInput(str(error).replace("timezone", "reader's timezone", 1), field="reader_timezone") from error


def _pieces(schedule: Schedule, after: datetime, through: datetime) -> Pieces:
    calendars = calendars_of([schedule]).get(schedule.pk, ())
    return Pieces(list(timing.merged(calendars, after, through)))


def _until_limit(fires: Iterable[datetime], pieces: Pieces, left: int | None) -> list[datetime]:
    kept: list[datetime] = []
    for fire in fires:
        if left is not None and pieces.text_at(fire) is None:
            if left == 0:
                break
            left -= 1
        kept.append(fire)
    return kept


def _ending(rule: timing.Rule, fires: Sequence[datetime], count: int, ends_at: datetime | None) -> Ending | None:
    if len(fires) >= count:
        return None
    if rule.kind == "manual":
        return "manual"
    return "ended" if ends_at is not None and rule.next_after(ends_at) is not None else "never"


def _in(zone: ZoneInfo, moment: datetime) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:  # the last hours of the year 9999, or the first of year 1
        return moment.astimezone(UTC)
