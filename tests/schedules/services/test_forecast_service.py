"""The forecast of an organisation: its rows as the simulation is told them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from fleet.errors import InvalidInput
from fleet.models import Agent, Organisation
from schedules.engine.newruns import due_at
from schedules.forecast.days import AT_WORK, NO_RUN
from schedules.forecast.report import JobForecast
from schedules.models import Backfill, BlackoutCalendar, Schedule
from schedules.services.durations import usual_durations
from schedules.services.forecast import OrganisationForecast, organisation_forecast
from tests.schedule_rows import queued, ran, running, saved
from tests.witness.executors.traces import Trace

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def organisation(db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


@pytest.fixture
def agent(organisation: Organisation) -> Agent:
    return Agent.objects.create(organisation=organisation, slug="a1", max_concurrent_runs=1)


def told(organisation: Organisation, days: int = 1) -> OrganisationForecast:
    return organisation_forecast(organisation=organisation, start=MONDAY, days=days)


def only(organisation: Organisation) -> JobForecast:
    (job,) = told(organisation).forecast.jobs
    return job


def test_the_usual_duration_is_the_median_of_the_last_twenty_successes(organisation: Organisation) -> None:
    schedule, fresh = saved(organisation, "job"), saved(organisation, "fresh", timeout_seconds=30)
    for number in range(5):  # too long ago to count
        ran(schedule, 9999, at=MONDAY - (100 + number) * HOUR)
    for number in range(20):
        ran(schedule, 60 + number, at=MONDAY - number * HOUR)
    ran(schedule, 5000, at=MONDAY + HOUR, status="failed")
    usual = usual_durations([schedule, fresh])
    assert (usual[schedule.pk].duration, usual[schedule.pk].assumed) == (timedelta(seconds=69.5), False)
    assert (usual[fresh.pk].duration, usual[fresh.pk].assumed) == (timedelta(seconds=30), True)


def test_two_jobs_of_one_agent_queue(organisation: Organisation, agent: Agent) -> None:
    scan = saved(organisation, "scan", "0 2 * * *", agent=agent)
    saved(organisation, "backup", "0 10 * * *", timezone="Asia/Shanghai", agent=agent, priority=4)
    ran(scan, 720, at=MONDAY - HOUR)
    (finding,) = told(organisation, days=7).forecast.findings
    assert (finding.kind, finding.job.name, finding.count, finding.others) == ("queue", "backup", 7, ("scan",))
    assert (finding.scope, finding.limit, finding.longest) == ("agent", 1, timedelta(minutes=12))


def test_the_first_instant_belongs_to_it_and_the_last_does_not(organisation: Organisation) -> None:
    saved(organisation, "job", "@daily")
    assert only(organisation).fires == 1


def test_a_schedule_s_dates_and_maximum_count(organisation: Organisation) -> None:
    saved(organisation, "dated", "@hourly", starts_at=MONDAY + 3 * HOUR, ends_at=MONDAY + 5 * HOUR)
    saved(organisation, "few", "@hourly", max_runs=10, planned_runs=8)
    dated, few = told(organisation).forecast.jobs
    assert (dated.fires, dated.runs) == (3, 3)
    assert (few.fires, few.runs, dict(few.no_run)) == (24, 2, {"limit": 22})


def test_policies_limits_and_patience_of_the_row_count(organisation: Organisation, agent: Agent) -> None:
    long = saved(organisation, "long", "@hourly", agent=agent, max_concurrent_runs=2, overlap="queue_one")
    ran(long, 5 * 3600, at=MONDAY - HOUR)
    saved(organisation, "hasty", "30 * * * *", agent=agent, start_within_seconds=60)
    hasty, slow = told(organisation).forecast.jobs
    assert dict(hasty.no_run) == {"late": 24}
    assert slow.no_run["overlap"] > 10
    assert slow.runs == 5


def test_the_organisation_s_limit_counts(organisation: Organisation) -> None:
    organisation.max_concurrent_runs = 1
    for name in ("one", "two"):
        saved(organisation, name, "@daily")
    (finding,) = told(organisation).forecast.findings
    assert (finding.scope, finding.others) == ("organisation", ("one",))


def test_an_executor_that_holds_its_agent_alone(
    organisation: Organisation, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    Agent.objects.update(max_concurrent_runs=5)
    saved(organisation, "one", "@daily", agent=agent)
    saved(organisation, "two", "@daily", agent=agent)
    assert [each.kind for each in told(organisation).forecast.findings] == ["meet"]
    monkeypatch.setattr(Trace, "hold", "exclusive")
    (finding,) = told(organisation).forecast.findings
    assert (finding.kind, finding.scope) == ("queue", "held")


def test_a_schedule_that_follows_another_is_laid_out_too(organisation: Organisation) -> None:
    leader = saved(organisation, "leader", "@hourly")
    saved(organisation, "follower", run_after=leader)
    saved(organisation, "mourner", run_after=leader, run_after_on="failure")
    saved(organisation, "off", run_after=leader, enabled=False)
    assert {job.job.name: (job.fires, job.runs) for job in told(organisation).forecast.jobs} == {
        "leader": (24, 24),
        "follower": (0, 24),
    }


def test_blackouts_of_the_schedule_and_of_all_count(organisation: Organisation) -> None:
    job = saved(organisation, "job", "@hourly")
    saved(organisation, "other", "@hourly")
    BlackoutCalendar.objects.create(organisation=organisation, name="all", windows="mon 00:00-06:00", for_all=True)
    own = BlackoutCalendar.objects.create(organisation=organisation, name="own", windows="mon 05:00-08:00")
    own.schedules.add(job)
    answer = told(organisation).forecast
    assert {each.job.name: dict(each.no_run) for each in answer.jobs} == {
        "job": {"blackout": 8},
        "other": {"blackout": 6},
    }
    assert answer.jobs[0].days[0].hours == (NO_RUN,) * 8 + (AT_WORK,) * 16
    assert [(each.kind, each.others) for each in answer.findings] == [
        ("blackout", ("mon 00:00-06:00", "mon 05:00-08:00")),
        ("blackout", ("mon 00:00-06:00",)),
    ]


def test_a_run_is_due_when_the_engine_says(organisation: Organisation, agent: Agent) -> None:
    """With its jitter, so that two that fire at once need not meet."""
    Agent.objects.update(max_concurrent_runs=2)
    one, two = (saved(organisation, name, "@daily", agent=agent, jitter_seconds=7200) for name in ("one", "two"))
    ran(one, 60, at=MONDAY)
    ran(two, 60, at=MONDAY)
    assert abs(due_at(one, MONDAY) - due_at(two, MONDAY)) > timedelta(minutes=1), "the dice of these two keys"
    assert told(organisation).forecast.findings == ()
    Schedule.objects.update(jitter_seconds=0)
    assert [each.kind for each in told(organisation).forecast.findings] == ["meet"]


def test_disabled_and_damaged_ones_are_left_out_and_named(organisation: Organisation) -> None:
    saved(organisation, "off", "@hourly", enabled=False)
    saved(organisation, "job", "@hourly")
    damaged = saved(organisation, "damaged", "@hourly")
    type(damaged).objects.filter(pk=damaged.pk).update(expression="nonsense")
    answer = told(organisation)
    assert [job.job.name for job in answer.forecast.jobs] == ["job"]
    assert (answer.disabled, answer.damaged, answer.is_open) == (("off",), ("damaged",), True)


def test_from_now_on_it_begins_with_the_runs_that_are_there(organisation: Organisation, agent: Agent) -> None:
    now = datetime.now(UTC)
    off = saved(organisation, "off", "@hourly", enabled=False, agent=agent)
    gone = saved(organisation, "gone", agent=agent)
    ran(off, 7200, at=now - 9 * HOUR)
    running(off, since=now - HOUR)
    queued(gone, due=now, trigger="manual")
    gone.delete()
    jobs = {job.job.name: job for job in organisation_forecast(organisation=organisation, days=1).forecast.jobs}
    assert (jobs["off"].runs, jobs["off"].fires) == (1, 0)
    assert jobs["gone"].waited == 1
    assert jobs["gone"].longest_wait == HOUR
    assert told(organisation).forecast.jobs == (), "from another time on they say nothing"


def test_a_backfill_that_runs_has_a_limit_of_its_own(organisation: Organisation) -> None:
    now = datetime.now(UTC)
    job = saved(organisation, "job", max_concurrent_runs=1)
    ran(job, 600, at=now - 9 * HOUR)
    backfill = Backfill.objects.create(
        schedule=job, after=now - 9 * HOUR, through=now - HOUR, max_concurrent_runs=2, planned=4, requested_by="test"
    )
    for _ in range(4):
        queued(job, due=now, trigger="backfill", backfill=backfill)
    (told_of,) = organisation_forecast(organisation=organisation, days=1).forecast.jobs
    assert (told_of.job.name, told_of.runs, told_of.waited) == ("job (backfill)", 4, 2)
    assert told_of.longest_wait < timedelta(minutes=11)


def test_another_organisation_s_schedules_are_not_in_it(organisation: Organisation) -> None:
    saved(Organisation.objects.create(slug="other", name="Other"), "theirs", "@hourly")
    assert told(organisation).forecast.jobs == ()


def test_an_every_second_job_is_cut_and_the_rest_is_whole(organisation: Organisation) -> None:
    saved(organisation, "tick", "* * * * * *")
    saved(organisation, "nightly", "@daily")
    answer = organisation_forecast(organisation=organisation, start=MONDAY, days=7, most_fires=5000)
    nightly, tick = answer.forecast.jobs
    assert (nightly.fires, nightly.cut_at) == (7, None)
    assert (tick.fires, tick.cut_at) == (4993, MONDAY + timedelta(seconds=4992))
    assert answer.forecast.until == MONDAY + timedelta(days=7)
    assert not answer.forecast.is_whole


def test_a_week_of_an_every_second_job_takes_seconds(organisation: Organisation) -> None:
    ran(saved(organisation, "tick", "* * * * * *", overlap="queue_all"), 30, at=MONDAY)
    began = time.process_time()
    job = told(organisation, days=7).forecast.jobs[0]
    assert time.process_time() - began < 20
    assert job.fires == 100_000


def test_the_same_rows_give_the_same_forecast(organisation: Organisation, agent: Agent) -> None:
    for number in range(20):
        saved(organisation, f"job-{number}", f"*/{5 + number % 7} * * * *", agent=agent, overlap="queue_one")
    assert told(organisation) == told(organisation)


@pytest.mark.parametrize(("days", "zone", "field"), [(0, "UTC", "days"), (367, "UTC", "days"), (1, "Mars", "timezone")])
def test_a_refusal_names_its_field(organisation: Organisation, days: int, zone: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        organisation_forecast(organisation=organisation, days=days, timezone=zone)
    assert refusal.value.field == field


def test_a_forecast_begins_in_years_that_have_a_calendar(organisation: Organisation) -> None:
    with pytest.raises(InvalidInput, match="years 2 to 9997"):
        organisation_forecast(organisation=organisation, start=datetime(9999, 1, 1, tzinfo=UTC))
