"""A job's days on a line: 24 marks a day, one for each hour of a zone's clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo

from schedules.forecast.outcomes import Kind, Outcome

HOURS = 24
#: Of an hour: nothing, a run at work, a run that had to wait, a fire that became no run. The last of these counts.
NOTHING, AT_WORK, WAITED, NO_RUN = range(4)

_HOUR = timedelta(hours=1)
_NO_RUN: frozenset[Kind] = frozenset({"overlap", "blackout", "limit", "late", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day of a job: its runs, how many of them waited, the fires that became none (or were cancelled)."""

    day: date
    runs: int
    waited: int
    no_run: int
    hours: tuple[int, ...]


@dataclass(kw_only=True)
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    hours: list[int] = field(default_factory=lambda: [NOTHING] * HOURS)


class Days:
    """The days of one job between two instants, in a zone."""

    def __init__(self, zone: tzinfo, start: datetime, until: datetime) -> None:
        self._zone = zone
        self._start = start
        self._until = until
        self._days: dict[date, _Tally] = {}

    def add(self, outcome: Outcome) -> None:
        moment = self._local(outcome.started or outcome.due)
        counts = self._tally(moment.date()).counts
        counts["runs"] += outcome.started is not None
        if outcome.started is not None:
            self._mark_work(outcome.started, outcome.ended or self._until)
        if outcome.kind in _NO_RUN:
            counts["no_run"] += 1
            self._mark(moment, NO_RUN)
        elif outcome.wait is not None:
            due = self._local(outcome.due)
            self._tally(due.date()).counts["waited"] += 1
            self._mark(due, WAITED)

    def all(self) -> Iterator[Day]:
        for day, tally in sorted(self._days.items()):
            counts = tally.counts
            yield Day(
                day=day,
                runs=counts["runs"],
                waited=counts["waited"],
                no_run=counts["no_run"],
                hours=tuple(tally.hours),
            )

    def _local(self, moment: datetime) -> datetime:
        """On the clock of the zone; what began before the forecast stands at its beginning."""
        return max(moment, self._start).astimezone(self._zone)

    def _tally(self, day: date) -> _Tally:
        tally = self._days.get(day)
        if tally is None:
            tally = self._days[day] = _Tally()
        return tally

    def _mark(self, local: datetime, mark: int) -> None:
        hours = self._tally(local.date()).hours
        hours[local.hour] = max(hours[local.hour], mark)

    def _mark_work(self, start: datetime, end: datetime) -> None:
        """Every hour from its start to its end; an end at the full hour does not touch that hour."""
        local = self._local(start)
        self._mark(local, AT_WORK)
        while (moment := local.astimezone(UTC) + _rest_of_hour(local)) < end:
            local = moment.astimezone(self._zone)
            self._mark(local, AT_WORK)


def _rest_of_hour(local: datetime) -> timedelta:
    return _HOUR - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
