"""What an organisation's schedules will do: where runs will queue, meet on an agent, or be skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone as clock

from fleet.errors import InvalidInput
from fleet.models import Agent, Organisation
from schedules import timing
from schedules.engine.course import planned_rule
from schedules.engine.newruns import due_at
from schedules.engine.planning import calendars_of
from schedules.executors.registry import executors
from schedules.forecast.jobs import Expected, Hold, Job, Limits, Line, Overlap, Present
from schedules.forecast.layout import MOST_FIRES, lay_out
from schedules.forecast.pieces import Pieces
from schedules.forecast.report import INSTANT, Forecast, forecast
from schedules.models import Run, Schedule
from schedules.services.durations import ASSUMED, UsualDuration, usual_durations
from schedules.services.preview import refusal, runs_left
from schedules.timing.spans import FIRST_YEAR, LAST_YEAR

USUAL_DAYS = 7
MOST_DAYS = 366


@dataclass(frozen=True, kw_only=True)
class OrganisationForecast:
    """A forecast with what it is made of.

    ``disabled`` schedules are not in it, nor are ``damaged`` ones, whose timing can't be read (their names). ``agents``
    are slugs by primary key. ``is_open`` is False of a closed organisation, in which nothing is planned.
    """

    forecast: Forecast
    timezone: str
    limits: Limits
    agents: Mapping[int, str]
    disabled: tuple[str, ...]
    damaged: tuple[str, ...]
    is_open: bool


def organisation_forecast(
    *,
    organisation: Organisation,
    start: datetime | None = None,
    days: int = USUAL_DAYS,
    timezone: str = "UTC",
    most_fires: int | None = None,
) -> OrganisationForecast:
    """Lay out the fires of all its schedules from ``start`` on and simulate them against the limits.

    Without ``start`` it begins now, with the runs that are there. ``timezone`` is the one whose days are told. Of more
    than ``most_fires`` fires (100,000) a part is laid out, and the forecast says which. Raises :class:`InvalidInput`.
    """
    zone = _zone(timezone)
    present_counts, start = start is None, start or clock.now()
    until = _end(start, days)
    world = _World(organisation)
    sources = {key: world.expected(key, start, until) for key in world.rules}
    layout = lay_out(list(sources.values()), until=until, most=most_fires or MOST_FIRES)
    fires = dict(zip(sources, layout.fires, strict=True))
    present = world.present() if present_counts else []
    lines = world.lines(fires, present, start, layout.until)
    keys = list(sources)
    return OrganisationForecast(
        forecast=forecast(
            lines,
            limits=world.limits,
            start=start,
            until=layout.until,
            zone=zone,
            present=present,
            cut={keys[index]: at for index, at in layout.cut.items()},
            asked_until=until,
        ),
        timezone=timezone,
        limits=world.limits,
        agents=world.agents,
        disabled=tuple(sorted(each.name for each in world.schedules.values() if not each.enabled)),
        damaged=tuple(sorted(world.damaged)),
        is_open=organisation.is_active,
    )


class _World:
    """An organisation's rows as the simulation wants them."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self.schedules = {each.pk: each for each in Schedule.objects.of(organisation)}
        rows = Agent.objects.of(organisation).values_list("pk", "slug", "max_concurrent_runs")
        self.agents = {pk: slug for pk, slug, _ in rows}
        self.limits = Limits(organisation=organisation.max_concurrent_runs, agents={pk: limit for pk, _, limit in rows})
        self.rules: dict[int, timing.Rule] = {}
        self.damaged: list[str] = []
        self._extra: dict[tuple[str, int], Job] = {}  # of runs that are no ordinary ones of a schedule
        for schedule in self.schedules.values():
            self._read(schedule)

    def _read(self, schedule: Schedule) -> None:
        try:
            rule = planned_rule(schedule)
        except timing.ExpressionError:
            self.damaged.append(schedule.name)
            return
        if schedule.enabled and rule.kind != "manual":
            self.rules[schedule.pk] = rule

    def expected(self, key: int, start: datetime, until: datetime) -> Iterator[Expected]:
        """The fires of [start, until)."""
        schedule = self.schedules[key]
        for fire in self.rules[key].fires(start - INSTANT, until - INSTANT):
            yield Expected(fire=fire, due=due_at(schedule, fire))

    def present(self) -> list[Present]:
        """The runs that are not over."""
        rows = Run.objects.of(self._organisation).active().select_related("backfill").order_by("pk")
        return [
            Present(
                job=self._job_of(run),
                due=run.next_attempt_at or run.created_at,
                started=run.started_at or run.created_at if run.status == Run.Status.RUNNING else None,
                scheduled=run.trigger == Run.Trigger.SCHEDULE,
            )
            for run in rows
        ]

    def lines(
        self,
        fires: Mapping[int, Sequence[Expected]],
        present: Sequence[Present],
        start: datetime,
        until: datetime,
    ) -> list[Line]:
        """Of every schedule of which something may be told: its own fires, its runs, or those after another's."""
        wanted = {key for key, own in fires.items() if own} | {each.job for each in present}
        told = [each for each in self.schedules.values() if each.pk in wanted or self._leader(each) is not None]
        usual, black = usual_durations(told), _black(told, start, until)
        lines = [
            Line(job=self._job(each, usual[each.pk]), fires=fires.get(each.pk, ()), black=black.get(each.pk, Pieces()))
            for each in told
        ]
        return lines + [Line(job=job) for job in self._extra.values()]

    def _job(self, schedule: Schedule, usual: UsualDuration) -> Job:
        executor = executors().get(schedule.executor)
        within = schedule.start_within_seconds
        return Job(
            key=schedule.pk,
            name=schedule.name,
            duration=usual.duration,
            assumed=usual.assumed,
            agent=schedule.agent_id,
            limit=schedule.max_concurrent_runs,
            priority=schedule.priority,
            overlap=cast("Overlap", schedule.overlap),
            hold=executor.hold if executor else "shared",
            start_within=None if within is None else timedelta(seconds=within),
            runs_left=runs_left(schedule),
            grace=timedelta(seconds=settings.WATCHBILL.recovery_grace_seconds),
            follows=self._leader(schedule),
            follows_cancelled=schedule.run_after_on == Schedule.After.ALWAYS,
        )

    def _leader(self, schedule: Schedule) -> int | None:
        """The schedule whose success starts this one: in a forecast every run succeeds."""
        follows = schedule.enabled and schedule.run_after_on != Schedule.After.FAILURE
        return schedule.run_after_id if follows else None

    def _job_of(self, run: Run) -> int:
        """Its schedule; a backfill, which has a limit of its own; or itself, when its schedule is gone."""
        if run.schedule_id in self.schedules and run.backfill is None:
            return run.schedule_id
        name = ("backfill", run.backfill.pk) if run.backfill else ("run", run.pk)
        if name not in self._extra:
            self._extra[name] = self._extra_job(run)
        return self._extra[name].key

    def _extra_job(self, run: Run) -> Job:
        usual = UsualDuration(duration=ASSUMED, assumed=True)
        if run.schedule_id in self.schedules:
            usual = usual_durations([self.schedules[run.schedule_id]])[run.schedule_id]
        return Job(
            key=-1 - len(self._extra),
            name=f"{run.schedule_name} (backfill)" if run.backfill else run.schedule_name or run.job_run_id,
            duration=usual.duration,
            assumed=usual.assumed,
            agent=run.agent_id,
            limit=run.backfill.max_concurrent_runs if run.backfill else 1,
            priority=run.priority,
            hold=cast("Hold", run.hold),
            grace=timedelta(seconds=run.grace_seconds),
        )


def _black(schedules: Sequence[Schedule], start: datetime, until: datetime) -> dict[int, Pieces]:
    """Computed once for all schedules that have the same calendars."""
    known: dict[tuple[timing.Blackouts, ...], Pieces] = {}
    black: dict[int, Pieces] = {}
    for key, calendars in calendars_of(schedules).items():
        own = tuple(calendars)
        if own not in known:
            known[own] = Pieces(list(timing.merged(own, start - INSTANT, until)))
        black[key] = known[own]
    return black


def _zone(name: str) -> ZoneInfo:
    try:
        return timing.check_timezone(name)
    except timing.ExpressionError as error:
        raise refusal(error) from error


def _end(start: datetime, days: int) -> datetime:
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(f"days must be from 1 to {MOST_DAYS}, not {days}; try {USUAL_DAYS}.", field="days")
    if not FIRST_YEAR <= start.year <= LAST_YEAR - 1:
        raise InvalidInput(f"A forecast begins in the years {FIRST_YEAR} to {LAST_YEAR - 1}.", field="from")
    return start + timedelta(days=days)
