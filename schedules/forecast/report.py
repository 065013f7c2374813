"""A forecast: what each job will do, and what is worth reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from schedules.forecast.days import Day, Days
from schedules.forecast.findings import Finding, Findings
from schedules.forecast.jobs import Job, Limits, Line, Present
from schedules.forecast.outcomes import Kind, Outcome
from schedules.forecast.simulation import MOST_RUNS, Simulation

INSTANT = timedelta(microseconds=1)  # time's smallest step


@dataclass(frozen=True, kw_only=True)
class JobForecast:
    """One job. ``fires`` are those of its timing; ``runs`` started (whatever made them), ``waited`` could not at once.

    ``no_run`` counts by kind the fires that became no run, and the runs that were cancelled. ``cut_at`` is there when
    it fires too often to be laid out in full: its last fire that is.
    """

    job: Job
    fires: int
    runs: int
    waited: int
    longest_wait: timedelta
    still_waiting: int
    no_run: Mapping[Kind, int]
    days: tuple[Day, ...]
    cut_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What lies ahead from ``start`` until ``until``, which is no longer part of it. It is earlier than ``asked_until``
    when there are more fires than can be laid out. Jobs stand by name; those of which nothing is to be told are left
    out.
    """

    start: datetime
    until: datetime
    asked_until: datetime
    jobs: tuple[JobForecast, ...]
    findings: tuple[Finding, ...]

    @property
    def is_whole(self) -> bool:
        return self.until == self.asked_until and not any(job.cut_at for job in self.jobs)


def forecast(
    lines: Sequence[Line],
    *,
    limits: Limits,
    start: datetime,
    until: datetime,
    zone: tzinfo,
    present: Sequence[Present] = (),
    cut: Mapping[int, datetime] | None = None,
    asked_until: datetime | None = None,
    most_runs: int = MOST_RUNS,
) -> Forecast:
    """Simulate the lines, whose fires lie before ``until``, and sum up.

    Days are those of ``zone``. ``cut`` has the jobs whose fires are not all there, by key, with the last fire that is.
    """
    simulation = Simulation(lines, limits=limits, start=start, through=until - INSTANT, present=present, most=most_runs)
    findings = Findings(until)
    summaries = {line.job.key: _Summary(line.job, Days(zone, start, until), until) for line in lines}
    for outcome in simulation.outcomes():
        summaries[outcome.job.key].add(outcome)
        if outcome.due < until:
            findings.add(outcome)
    if simulation.through < until - INSTANT:  # it came no further: that is what there is to sum up
        return forecast(
            lines,
            limits=limits,
            start=start,
            until=simulation.through + INSTANT,
            zone=zone,
            present=present,
            cut=cut,
            asked_until=asked_until or until,
            most_runs=most_runs,
        )
    cut = {key: at for key, at in (cut or {}).items() if at < until}
    jobs = [each.result(cut.get(key)) for key, each in summaries.items() if each.seen]
    return Forecast(
        start=start,
        until=until,
        asked_until=asked_until or until,
        jobs=tuple(sorted(jobs, key=lambda each: (each.job.name, each.job.key))),
        findings=tuple(findings.all()),
    )


class _Summary:
    def __init__(self, job: Job, days: Days, until: datetime) -> None:
        self._job = job
        self._until = until
        self._kinds: Counter[Kind] = Counter()
        self._days = days
        self._fires = self._runs = self._waited = 0
        self._longest = timedelta()

    @property
    def seen(self) -> bool:
        return bool(self._kinds)

    def add(self, outcome: Outcome) -> None:
        self._kinds[outcome.kind] += 1
        self._fires += outcome.fire is not None
        self._runs += outcome.started is not None
        if outcome.wait is not None and outcome.kind != "late":
            self._waited += 1
            self._longest = max(self._longest, (outcome.started or outcome.ended or self._until) - outcome.due)
        self._days.add(outcome)

    def result(self, cut_at: datetime | None) -> JobForecast:
        kinds: tuple[Kind, ...] = ("overlap", "blackout", "limit", "late", "cancelled")
        return JobForecast(
            job=self._job,
            fires=self._fires,
            runs=self._runs,
            waited=self._waited,
            longest_wait=self._longest,
            still_waiting=self._kinds["waiting"],
            no_run={kind: self._kinds[kind] for kind in kinds if self._kinds[kind]},
            days=tuple(self._days.all()),
            cut_at=cut_at,
        )
