"""``job forecast``: where runs will queue, meet on an agent, or be skipped."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules.console.forecast_words import HEADERS, LEGEND, MARKS, day_rows, finding_lines, finding_text, notes
from schedules.console.job.settings import read_time
from schedules.console.moments import ISO_HELP, utc_text
from schedules.forecast.days import Day
from schedules.forecast.findings import Finding
from schedules.forecast.report import JobForecast
from schedules.services.forecast import USUAL_DAYS, OrganisationForecast, organisation_forecast
from schedules.words import clock

SHOWN = 30


class Forecast(Subcommand):
    name = "forecast"
    help = "Lay all jobs on a line: where their runs will queue, meet on an agent, or be skipped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=USUAL_DAYS, metavar="N", help=f"how far ({USUAL_DAYS})")
        parser.add_argument(
            "--from",
            dest="from_time",
            default="",
            metavar="TIME",
            help=f"from when: {ISO_HELP} --timezone. Without it: now, with the runs that are there",
        )
        parser.add_argument("--timezone", default="UTC", metavar="ZONE", help="whose days are shown (UTC)")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        told = organisation_forecast(
            organisation=self.organisation(options),
            start=read_time(options["from_time"], zone=options["timezone"], field="from"),
            days=options["days"],
            timezone=options["timezone"],
        )
        if options["json"]:
            screen.json(forecast_json(told))
        else:
            _show(told, screen)
        return Exit.DONE


def _show(told: OrganisationForecast, screen: Screen) -> None:
    forecast = told.forecast
    screen.say(f"From {clock(forecast.start, told.timezone)} until {clock(forecast.until, told.timezone)}.")
    rows = [row for job in forecast.jobs for row in day_rows(job)]
    if rows:
        screen.table(HEADERS, rows)
        screen.say(LEGEND)
    for note in notes(told):
        screen.say(note)
    lines = list(finding_lines(told))
    for line in lines[:SHOWN]:
        screen.data(f"- {line}")
    if len(lines) > SHOWN:
        screen.say(f"And {len(lines) - SHOWN:,} more findings; --json has them all.")
    if not lines:
        screen.data("Nothing queues, collides or is skipped." if rows else "No job fires in this time.")


def forecast_json(told: OrganisationForecast) -> dict[str, Any]:
    """A forecast for a machine: times in UTC, durations in seconds, days of ``timezone``."""
    forecast = told.forecast
    return {
        "from": utc_text(forecast.start),
        "until": utc_text(forecast.until),
        "asked_until": utc_text(forecast.asked_until),
        "is_whole": forecast.is_whole,
        "timezone": told.timezone,
        "limits": {
            "organisation": told.limits.organisation,
            "agents": {told.agents[key]: limit for key, limit in told.limits.agents.items()},
        },
        "disabled": told.disabled,
        "damaged": told.damaged,
        "jobs": [_job_json(job, told) for job in forecast.jobs],
        "findings": [_finding_json(finding, told) for finding in forecast.findings],
        "notes": list(notes(told)),
    }


def _job_json(told: JobForecast, world: OrganisationForecast) -> dict[str, Any]:
    return {
        "name": told.job.name,
        "agent": world.agents.get(told.job.agent or 0),
        "duration_seconds": told.job.duration.total_seconds(),
        "duration_assumed": told.job.assumed,
        "fires": told.fires,
        "runs": told.runs,
        "waited": told.waited,
        "longest_wait_seconds": told.longest_wait.total_seconds(),
        "still_waiting": told.still_waiting,
        "no_run": dict(told.no_run),
        "cut_at": utc_text(told.cut_at) if told.cut_at else None,
        "days": [_day_json(day) for day in told.days],
    }


def _day_json(day: Day) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "runs": day.runs,
        "waited": day.waited,
        "no_run": day.no_run,
        "hours": "".join(MARKS[hour] for hour in day.hours),
    }


def _finding_json(finding: Finding, told: OrganisationForecast) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "job": finding.job.name,
        "agent": told.agents.get(finding.job.agent or 0),
        "count": finding.count,
        "first": utc_text(finding.first),
        "others": finding.others,
        "more_others": finding.more,
        "scope": finding.scope,
        "limit": finding.limit,
        "longest_seconds": finding.longest.total_seconds(),
        "still_waiting": finding.still_waiting,
        "text": finding_text(finding, told),
    }
