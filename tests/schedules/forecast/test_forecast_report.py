"""What is summed up: days on a line, findings, and how far it goes."""

from __future__ import annotations

from typing import Any

from small_world import DAY, MIDNIGHT, line, minute, minutes

from schedules.forecast.days import AT_WORK, NO_RUN, NOTHING, WAITED
from schedules.forecast.jobs import Limits, Line, Present
from schedules.forecast.report import Forecast, JobForecast, forecast
from schedules.timing import check_timezone


def told(*lines: Line, organisation: int = 10, agents: dict[int, int] | None = None, **values: Any) -> Forecast:
    values = {"start": MIDNIGHT, "until": MIDNIGHT + DAY, "zone": check_timezone("UTC")} | values
    return forecast(lines, limits=Limits(organisation=organisation, agents=agents or {}), **values)


def hours(job: JobForecast, day: int = 0) -> dict[int, int]:
    """The hours of a day in which there is something."""
    return {hour: mark for hour, mark in enumerate(job.days[day].hours) if mark != NOTHING}


def test_a_day_is_told_in_the_hours_of_a_zone() -> None:
    (job,) = told(line(1, [50], takes=70), zone=check_timezone("Asia/Kolkata")).jobs
    assert hours(job) == {6: AT_WORK, 7: AT_WORK}, "06:20 to 07:30"
    assert (job.days[0].day.isoformat(), job.days[0].runs) == ("2026-03-02", 1)


def test_an_end_at_the_full_hour_does_not_touch_that_hour() -> None:
    (job,) = told(line(1, [60], takes=120)).jobs
    assert hours(job) == {1: AT_WORK, 2: AT_WORK}


def test_a_run_over_midnight_stands_on_both_days_and_counts_on_the_first() -> None:
    (job,) = told(line(1, [23 * 60 + 30], takes=60), until=MIDNIGHT + 2 * DAY).jobs
    assert [(day.runs, sorted(hours(job, index))) for index, day in enumerate(job.days)] == [(1, [23]), (0, [0])]


def test_marks_of_waits_and_of_fires_that_become_no_run() -> None:
    report = told(line(1, [10], takes=55, agent=7), line(2, [20, 30], agent=7), agents={7: 1})
    job = report.jobs[1]
    assert hours(job) == {0: NO_RUN, 1: AT_WORK}
    assert (job.days[0].waited, job.days[0].no_run, dict(job.no_run)) == (1, 1, {"overlap": 1})
    assert hours(told(line(1, [10], takes=55, agent=7), line(2, [20], agent=7), agents={7: 1}).jobs[1]) == {
        0: WAITED,
        1: AT_WORK,
    }


def test_waits_are_grouped_with_their_longest_and_who_was_in_the_way() -> None:
    scan, backup = line(1, [60, 360, 720], takes=12, agent=7), line(2, [60, 365, 730], agent=7)
    report = told(scan, backup, agents={7: 1})
    (finding,) = report.findings
    assert (finding.kind, finding.job.name, finding.count, finding.first) == ("queue", "job-2", 3, minute(60))
    assert (finding.scope, finding.limit, finding.longest) == ("agent", 1, minutes(12))
    assert finding.others == ("job-1",)
    assert (report.jobs[1].waited, report.jobs[1].longest_wait) == (3, minutes(12))


def test_two_on_one_agent_are_one_finding_whichever_came_first() -> None:
    report = told(line(1, [60, 125], agent=7), line(2, [65, 120], agent=7), agents={7: 2})
    (finding,) = report.findings
    assert (finding.kind, finding.count, finding.first) == ("meet", 2, minute(65))
    assert {finding.job.name, *finding.others} == {"job-1", "job-2"}


def test_a_run_beside_another_of_its_own() -> None:
    (finding,) = told(line(1, [60, 65], agent=7, overlap="queue_all", limit=2), agents={7: 2}).findings
    assert (finding.kind, finding.job.name, finding.others) == ("meet", "job-1", ("job-1",))


def test_what_matters_more_comes_first() -> None:
    report = told(
        line(1, [60], takes=100, agent=7),
        line(2, [70], agent=7, start_within=minutes(1)),
        line(3, [70, 80], agent=7),
        line(4, [60, 62], takes=5),
        line(5, [60], black=[(0, 100, "closed")]),
        line(6, [60, 90], runs_left=1),
        agents={7: 1},
    )
    kinds = [(each.kind, each.job.name) for each in report.findings]
    assert kinds == [
        ("late", "job-2"),
        ("queue", "job-3"),
        ("overlap", "job-3"),
        ("overlap", "job-4"),
        ("blackout", "job-5"),
        ("limit", "job-6"),
    ]


def test_those_that_still_wait_at_the_end_are_counted() -> None:
    report = told(line(1, [60], takes=9999, agent=7), line(2, [120, 240], agent=7, overlap="queue_all"), agents={7: 1})
    (finding,) = report.findings
    assert (finding.count, finding.still_waiting, finding.longest) == (2, 2, DAY - minutes(120))
    assert report.jobs[1].still_waiting == 2


def test_nothing_to_tell_is_left_out() -> None:
    report = told(line(1), line(2, [60]))
    assert [job.job.name for job in report.jobs] == ["job-2"]
    assert report.findings == ()
    assert report.is_whole


def test_what_was_there_before_stands_at_the_beginning() -> None:
    present = [Present(job=1, due=minute(-300), started=minute(-200))]
    (job,) = told(line(1, takes=230), present=present).jobs
    assert (job.fires, job.runs, hours(job)) == (0, 1, {0: AT_WORK})


def test_a_job_that_is_cut_says_where() -> None:
    report = told(line(1, [60]), cut={1: minute(60)})
    assert report.jobs[0].cut_at == minute(60)
    assert not report.is_whole


def test_too_many_runs_end_it_early_and_all_is_told_until_there() -> None:
    chain = [line(1, [60], takes=1, follows=2), line(2, takes=1, follows=1)]
    report = told(*chain, most_runs=100)
    assert minute(60) < report.until < minute(200)
    assert report.asked_until == MIDNIGHT + DAY
    assert not report.is_whole
    assert 99 <= sum(job.runs for job in report.jobs) <= 101
