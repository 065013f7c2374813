"""A forecast in words and marks, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from schedules.forecast.days import Day
from schedules.forecast.findings import Finding
from schedules.forecast.report import JobForecast
from schedules.services.forecast import OrganisationForecast
from schedules.words import clock, span

MARKS = "·█▒×"
LEGEND = "Each mark is an hour: █ at work, ▒ had to wait, × a fire that became no run (or was cancelled), · nothing."
#: Above the marks, so that an hour can be found.
SCALE = "0     6     12    18    "
HEADERS = ["JOB", "DAYS", SCALE, "RUNS", "WAIT", "NO RUN"]
_NAMED = 5


def day_rows(job: JobForecast) -> Iterator[list[str]]:
    """A line for each day; days in a row that look the same share one."""
    for _, same in groupby(job.days, key=lambda day: (day.hours, day.runs, day.waited, day.no_run)):
        days = list(same)
        day, each = days[0], " a day" if len(days) > 1 else ""
        marks = "".join(MARKS[hour] for hour in day.hours)
        yield [job.job.name, _days_text(days), marks, *(_number(n, each) for n in (day.runs, day.waited, day.no_run))]


def finding_lines(told: OrganisationForecast) -> Iterator[str]:
    """The findings as sentences, in their order; many that queue for one limit, or meet on one agent, are one line."""
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(told.forecast.findings):
        grouped = finding.kind == "meet" or finding.scope in {"organisation", "agent"}
        agent = None if finding.scope == "organisation" else finding.job.agent
        groups.setdefault((finding.kind, finding.scope, agent) if grouped else number, []).append(finding)
    for findings in groups.values():
        if len(findings) > _NAMED:
            yield f"{_group_text(findings, told)}."
        else:
            yield from (f"{finding_text(each, told)}." for each in findings)


def finding_text(finding: Finding, told: OrganisationForecast) -> str:
    """One finding as a sentence without its full stop."""
    name, count, fires = finding.job.name, times(finding.count), _fires(finding.count)
    agent = told.agents.get(finding.job.agent or 0, "its agent")
    others, both = _names(finding.others, finding.more), _and(sorted({name, *finding.others}))
    texts = {
        "late": f"{name} gives up {count}: it could not start within {_span(finding.job.start_within)}",
        "overlap": f"{name} skips {fires}: an earlier run still waits or works (it takes {_takes(finding)})",
        "cancelled": f"{name} is cancelled {count} by {'its own next fire' if others == name else others}",
        "meet": f"{'two runs of ' if both == name else ''}{both} are at work on {agent} at the same time {count}",
        "blackout": f"{name} skips {fires} inside a blackout ({others})",
        "limit": f"{name} has had its last run: {fires} after it",
    }
    return texts.get(finding.kind) or _queue_text(finding, agent)


def notes(told: OrganisationForecast) -> Iterator[str]:
    """What has to be known to read it right: what is not in it, what was assumed, how far it goes."""
    forecast = told.forecast
    if not told.is_open:
        yield "The organisation is closed: nothing is planned until it is reopened."
    if told.disabled:
        yield f"Not in it, because disabled: {_some(told.disabled)}."
    if told.damaged:
        yield f"Not in it, because their timing can't be read: {_some(told.damaged)}."
    assumed = [job.job.name for job in forecast.jobs if job.job.assumed]
    if assumed:
        takes = span(max(job.job.duration for job in forecast.jobs if job.job.assumed).total_seconds())
        yield f"No run succeeded yet, so that {takes} is assumed: {_some(assumed)}."
    for job in forecast.jobs:
        if job.cut_at is not None:
            yield (
                f"{job.job.name} fires too often to be laid out in full: its first {job.fires:,} fires are, until "
                f"{clock(job.cut_at, told.timezone)}. What follows is forecast without it."
            )
    if forecast.until < forecast.asked_until:
        yield f"There are too many fires to go on: the forecast ends at {clock(forecast.until, told.timezone)}."


def times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _group_text(findings: list[Finding], told: OrganisationForecast) -> str:
    first, count = findings[0], times(sum(each.count for each in findings))
    agent = told.agents.get(first.job.agent or 0, "its agent")
    if first.kind == "meet":
        pairs = [" with ".join(sorted({each.job.name, *each.others})) for each in findings]
        return f"{len(findings):,} pairs of jobs are at work on {agent} at the same time, {count}: {_some(pairs)}"
    limit = f"the agent limit of {first.limit} on {agent}"
    if first.scope == "organisation":
        limit = f"the organisation's limit of {first.limit}"
    longest = _span(max(each.longest for each in findings))
    names = _some([each.job.name for each in findings])
    return f"{len(findings):,} jobs queue {count}, longest {longest}, for {limit}: {names}"


def _queue_text(finding: Finding, agent: str) -> str:
    behind = f" (behind {_names(finding.others, finding.more)})" if finding.others else ""
    limit = {
        "organisation": f"the organisation's limit of {finding.limit}{behind}",
        "schedule": f"its own limit of {finding.limit}",
        "agent": f"the agent limit of {finding.limit} on {agent}{behind}",
        "alone": f"{agent} to be free, which it needs alone{behind}",
        "held": f"{agent}, which {_and(finding.others)} needs alone",
    }[finding.scope or "organisation"]
    still = f"; {finding.still_waiting:,} still wait at the end" if finding.still_waiting else ""
    return f"{finding.job.name} queues {times(finding.count)}, longest {_span(finding.longest)}, for {limit}{still}"


def _days_text(days: list[Day]) -> str:
    first, last = f"{days[0].day:%a %m-%d}", f"{days[-1].day:%a %m-%d}"
    return first if len(days) == 1 else f"{first} – {last}"


def _number(count: int, each: str) -> str:
    return f"{count:,}{each}" if count else ""


def _fires(count: int) -> str:
    return "1 fire" if count == 1 else f"{count:,} fires"


def _takes(finding: Finding) -> str:
    return f"{_span(finding.job.duration)}{', assumed' if finding.job.assumed else ''}"


def _span(duration: timedelta | None) -> str:
    return span((duration or timedelta()).total_seconds())


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "another"


def _names(names: Sequence[str], more: int) -> str:
    return _and([*names, "1 other" if more == 1 else f"{more:,} others"]) if more else _and(names)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
