"""``manage.py job forecast``: a line for each job and its days, the findings as sentences, JSON for a machine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fleet.models import Agent, Organisation
from schedules.services import forecast as service
from tests.console import Answer, Manage
from tests.schedule_rows import ran, saved

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FROM = ("--from", "2026-03-02")


@pytest.fixture(autouse=True)
def organisation(db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


@pytest.fixture
def agent(organisation: Organisation) -> Agent:
    return Agent.objects.create(organisation=organisation, slug="agent-1", max_concurrent_runs=1)


@pytest.fixture
def night(organisation: Organisation, agent: Agent) -> None:
    """A backup behind a scan."""
    scan = saved(organisation, "log-scan", "*/30 * * * *", agent=agent)
    backup = saved(organisation, "nightly-backup", "0 2 * * *", agent=agent)
    ran(scan, 720, at=MONDAY)
    ran(backup, 900, at=MONDAY)


def forecast(manage: Manage, *arguments: str) -> Answer:
    answer = manage("job", "forecast", *arguments)
    assert answer.code == 0, answer.err
    return answer


@pytest.mark.usefixtures("night")
def test_days_that_look_the_same_share_a_line(manage: Manage) -> None:
    lines = forecast(manage, *FROM).out.splitlines()
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "JOB DAYS 0 6 12 18 RUNS WAIT NO RUN",
        "log-scan Mon 03-02 – Sun 03-08 ████████████████████████ 48 a day",
        "nightly-backup Mon 03-02 – Sun 03-08 ··▒····················· 1 a day 1 a day",
    ]


@pytest.mark.usefixtures("night")
def test_findings_are_sentences(manage: Manage) -> None:
    assert forecast(manage, *FROM).out.splitlines()[3:] == [
        "- nightly-backup queues 7 times, longest 12 min, for the agent limit of 1 on agent-1 (behind log-scan)."
    ]


@pytest.mark.usefixtures("night")
def test_days_are_those_of_the_zone(manage: Manage) -> None:
    answer = forecast(manage, *FROM, "--days", "1", "--timezone", "Asia/Shanghai")
    assert answer.err.splitlines()[0] == (
        "From 2026-03-02 00:00:00 Asia/Shanghai until 2026-03-03 00:00:00 Asia/Shanghai."
    )
    assert "··········▒·············" in answer.out


def test_a_plain_sentence_when_nothing_is_in_the_way(manage: Manage, organisation: Organisation) -> None:
    saved(organisation, "one", "@daily")
    answer = forecast(manage, *FROM)
    assert answer.out.splitlines()[-1] == "Nothing queues, collides or is skipped."
    assert "No run succeeded yet, so that 1 min is assumed: one." in answer.err


def test_an_organisation_without_fires(manage: Manage) -> None:
    assert forecast(manage).out == "No job fires in this time.\n"


@pytest.mark.usefixtures("night")
def test_what_is_not_in_it_is_said(manage: Manage, organisation: Organisation) -> None:
    for number in range(7):
        saved(organisation, f"off-{number}", "@daily", enabled=False)
    damaged = saved(organisation, "damaged", "@hourly")
    type(damaged).objects.filter(pk=damaged.pk).update(expression="nonsense")
    Organisation.objects.update(is_active=False)
    said = forecast(manage, *FROM).err
    assert "The organisation is closed: nothing is planned until it is reopened." in said
    assert "Not in it, because disabled: off-0, off-1, off-2, off-3, off-4 and 2 more." in said
    assert "Not in it, because their timing can't be read: damaged." in said


def test_a_job_that_fires_too_often_is_said(
    manage: Manage, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_FIRES", 1000)
    saved(organisation, "tick", "* * * * * *")
    saved(organisation, "nightly", "@daily")
    said = forecast(manage, *FROM).err
    assert (
        "tick fires too often to be laid out in full: its first 993 fires are, until 2026-03-02 00:16:32 UTC. "
        "What follows is forecast without it."
    ) in said
    for number in range(20):
        saved(organisation, f"hourly-{number}", "@hourly")
    assert "There are too many fires to go on: the forecast ends at 2026-03-03" in forecast(manage, *FROM).err


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"start_within_seconds": 60}, "late gives up once: it could not start within 1 min."),
        ({"overlap": "skip", "expression": "0,5 2 * * *"}, "late skips 1 fire: an earlier run still waits or works"),
        (
            {"overlap": "cancel_running", "expression": "0,5 2 * * *"},
            "late is cancelled once by its own next fire.",
        ),
        ({"max_runs": 0}, "late has had its last run: 1 fire after it."),
        (
            {"overlap": "queue_all", "expression": "0,5 2 * * *"},
            "late queues twice, longest 12 min, for the agent limit of 1 on agent-1 (behind log-scan).",
        ),
    ],
)
def test_each_finding_has_its_sentence(
    manage: Manage, organisation: Organisation, agent: Agent, values: dict[str, object], said: str
) -> None:
    ran(saved(organisation, "log-scan", "0 2 * * *", agent=agent), 720, at=MONDAY)
    saved(organisation, "late", str(values.pop("expression", "0 2 * * *")), agent=agent, priority=4, **values)
    assert said in forecast(manage, *FROM, "--days", "1").out


def test_two_at_work_on_one_agent(manage: Manage, organisation: Organisation, agent: Agent) -> None:
    Agent.objects.update(max_concurrent_runs=3)
    for name in ("one", "two"):
        ran(saved(organisation, name, "0 2 * * *", agent=agent), 600, at=MONDAY)
    assert "- one and two are at work on agent-1 at the same time 7 times." in forecast(manage, *FROM).out


def test_many_that_queue_for_one_limit_or_meet_on_one_agent_are_one_line(
    manage: Manage, organisation: Organisation, agent: Agent
) -> None:
    names = [f"job-{number}" for number in range(8)]
    for name in names:
        ran(saved(organisation, name, "0 2 * * *", agent=agent), 60, at=MONDAY)
    assert forecast(manage, *FROM).out.splitlines()[-1] == (
        "- 7 jobs queue 49 times, longest 7 min, for the agent limit of 1 on agent-1: "
        "job-1, job-2, job-3, job-4, job-5 and 2 more."
    )
    Agent.objects.update(max_concurrent_runs=8)
    assert "- 28 pairs of jobs are at work on agent-1 at the same time, 196 times: job-0 with job-1, " in (
        forecast(manage, *FROM).out
    )
    Organisation.objects.update(max_concurrent_runs=7)
    assert "for the organisation's limit of 7 (behind job-0, job-1, job-2 and 4 others)." in forecast(manage, *FROM).out
    Organisation.objects.update(max_concurrent_runs=1)
    assert "- 7 jobs queue 49 times, longest 7 min, for the organisation's limit of 1: job-1, " in (
        forecast(manage, *FROM).out
    )


@pytest.mark.usefixtures("night")
def test_json_for_a_machine(manage: Manage) -> None:
    told = forecast(manage, *FROM, "--days", "2", "--json").json
    assert (told["from"], told["until"], told["is_whole"]) == ("2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z", True)
    assert told["limits"] == {"organisation": 10, "agents": {"agent-1": 1}}
    scan, backup = told["jobs"]
    assert (scan["name"], scan["duration_seconds"], scan["duration_assumed"]) == ("log-scan", 720.0, False)
    assert (backup["runs"], backup["waited"], backup["longest_wait_seconds"]) == (2, 2, 720.0)
    assert [day["day"] for day in backup["days"]] == ["2026-03-02", "2026-03-03"]
    (finding,) = told["findings"]
    assert {key: finding[key] for key in ("kind", "job", "agent", "count", "scope", "limit", "others", "first")} == {
        "kind": "queue",
        "job": "nightly-backup",
        "agent": "agent-1",
        "count": 2,
        "scope": "agent",
        "limit": 1,
        "others": ["log-scan"],
        "first": "2026-03-02T02:00:00Z",
    }
    assert finding["text"].startswith("nightly-backup queues twice")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--days", "0"), "days must be from 1 to 366"),
        (("--timezone", "Asia/Shanghia"), "Asia/Shanghai"),
        (("--from", "noon"), "ISO 8601"),
        (("--from", "9999-01-01"), "begins in the years 2 to 9997"),
    ],
)
def test_a_refusal_is_one_clear_line(manage: Manage, arguments: tuple[str, ...], said: str) -> None:
    answer = manage("job", "forecast", *arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err


def test_another_organisation_s_jobs_are_not_there(manage: Manage) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    saved(other, "theirs", "@hourly")
    assert "theirs" not in forecast(manage, "--org", "main").out
    assert "theirs" in forecast(manage, "--org", "other", *FROM, "--days", "1").out
