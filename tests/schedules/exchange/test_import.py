"""Imports: as if each job were created by hand, all of a file or nothing."""

from __future__ import annotations

import pytest

from fleet.errors import InvalidInput, NotFound
from fleet.models import Agent, AuditEntry, Organisation
from schedules.exchange import Refused, Source, read
from schedules.models import BlackoutCalendar, Schedule
from schedules.services.exchange import Imported, agent_target, import_jobs
from tests.schedules.exchange.organisations import ACTOR, document, organisation_with_agents

pytestmark = pytest.mark.usefixtures("transactional_db")

CRONTAB = """\
CRON_TZ=Asia/Shanghai
# Nightly backup
0 2 * * * docker exec agent s3 backup
@hourly docker exec agent s3 check
"""


@pytest.fixture
def organisation(transactional_db: None) -> Organisation:
    return organisation_with_agents("agent", "night")


def imported(organisation: Organisation, text: str, *, dry_run: bool = False) -> Imported:
    return import_jobs(organisation=organisation, actor=ACTOR, document=document(text), dry_run=dry_run)


def refusals(organisation: Organisation, text: str) -> list[str]:
    with pytest.raises(Refused) as refused:
        imported(organisation, text)
    assert not Schedule.objects.exists()
    assert not AuditEntry.objects.filter(action__startswith="schedule").exists()
    return [str(problem) for problem in refused.value.problems]


def test_a_crontab_becomes_jobs(organisation: Organisation) -> None:
    result = imported(organisation, CRONTAB)
    nightly = Schedule.objects.get(name="agent-s3-backup")
    assert (nightly.expression, nightly.timezone, nightly.description) == (
        "0 2 * * *",
        "Asia/Shanghai",
        "Nightly backup",
    )
    assert (nightly.kind, nightly.agent, nightly.enabled) == ("cron", Agent.objects.get(slug="agent"), True)
    assert nightly.next_run_at is not None
    assert [(each.job.name, each.line, each.job.agent) for each in result.jobs] == [
        ("agent-s3-backup", 3, "agent"),
        ("agent-s3-check", 4, "agent"),
    ]
    assert result.jobs[0].next_run_at == nightly.next_run_at
    actions = AuditEntry.objects.filter(organisation=organisation).values_list("action", "actor")
    assert list(actions) == [("schedule.create", "test")] * 2


def test_a_dry_run_judges_everything_and_creates_nothing(organisation: Organisation) -> None:
    result = imported(organisation, CRONTAB, dry_run=True)
    assert [each.job.name for each in result.jobs] == ["agent-s3-backup", "agent-s3-check"]
    assert result.jobs[0].next_run_at is not None
    assert not Schedule.objects.exists()
    assert not AuditEntry.objects.exists()


def test_every_line_that_is_wrong_is_told_and_nothing_is_imported(organisation: Organisation) -> None:
    text = (
        "0 25 * * * docker exec agent ls\n"
        "@reboot docker exec agent boot\n"
        "@daily docker exec agent good\n"
        "@daily /usr/bin/backup\n"
        "@daily docker exec agnt ls\n"
        "0 0 30 2 * docker exec agent never\n"
    )
    told = refusals(organisation, text)
    assert told[0] == 'line 1 (agent-ls): hour "25": has to be between 0 and 23; try "0 23 * * *"'
    assert told[1] == 'line 2 (agent-boot): expression "@reboot": there is no boot to wait for; try "@hourly"'
    assert told[2].startswith("line 4: '/usr/bin/backup' would run on the host")
    assert "Did you mean 'agent'?" in told[3]
    assert told[4].startswith("line 6 (agent-never): day of month")
    assert len(told) == 5


def test_a_name_that_exists_is_refused_with_a_hint(organisation: Organisation) -> None:
    imported(organisation, CRONTAB)
    with pytest.raises(Refused) as refused:
        imported(organisation, CRONTAB)
    assert "line 3 (agent-s3-backup): the name is taken; " in refused.value.message
    assert "`job apply`" in refused.value.message
    assert Schedule.objects.count() == 2


def test_another_organisations_names_are_free(organisation: Organisation) -> None:
    imported(organisation, CRONTAB)
    other = organisation_with_agents("second")
    imported(other, CRONTAB.replace("exec agent", "exec second"))
    with pytest.raises(Refused, match="No agent of"):
        imported(organisation_with_agents("third"), CRONTAB)


def test_a_hosts_commands_run_in_an_agents_container(organisation: Organisation) -> None:
    source = Source(agent=agent_target(organisation, "night"))
    wanted = read(b"@daily cd /srv && ./go.sh\n", source=source)
    import_jobs(organisation=organisation, actor=ACTOR, document=wanted)
    made = Schedule.objects.get()
    assert (str(made.agent), made.payload) == ("night", {"command": "docker exec night sh -c 'cd /srv && ./go.sh'"})


def test_an_agent_for_a_hosts_commands_has_a_container(organisation: Organisation) -> None:
    Agent.objects.filter(slug="night").update(container_name="")
    with pytest.raises(InvalidInput, match=r"manage\.py agent edit night --container NAME"):
        agent_target(organisation, "night")
    with pytest.raises(NotFound, match="Did you mean 'night'"):
        agent_target(organisation, "nigt")


def test_dkrons_children_follow_their_parents_whatever_the_order(organisation: Organisation) -> None:
    jobs = """[
     {"name": "after", "parent_job": "scan", "executor": "shell",
      "executor_config": {"command": "docker exec agent a"}},
     {"name": "scan", "schedule": "@daily", "disabled": true, "executor": "shell",
      "executor_config": {"command": "docker exec agent b"}}
    ]"""
    result = imported(organisation, jobs)
    after = Schedule.objects.get(name="after")
    assert (str(after.run_after), after.run_after_on) == ("scan", "success")
    assert after.run_after is not None
    assert (after.run_after.enabled, after.run_after.paused_reason) == (False, "disabled in Dkron")
    assert [each.next_run_at for each in result.jobs] == [None, None]


def test_yaml_may_follow_a_job_that_is_there(organisation: Organisation) -> None:
    imported(organisation, CRONTAB)
    text = """
version: 1
blackouts:
  holidays:
    windows: 12-24..01-02
jobs:
  report:
    executor: test.trace
    payload: {trace: /dev/null}
    run_after: agent-s3-backup
    blackouts: [holidays]
"""
    assert imported(organisation, text).blackouts == ("holidays",)
    report = Schedule.objects.get(name="report")
    assert str(report.run_after) == "agent-s3-backup"
    assert [str(calendar) for calendar in report.blackouts.all()] == ["holidays"]


def test_what_follows_a_refused_job_is_judged_for_itself(organisation: Organisation) -> None:
    text = """
version: 1
blackouts:
  wrong:
    windows: someday
jobs:
  first:
    executor: test.trace
    payload: {trace: /dev/null}
    expression: nonsense
    blackouts: [wrong]
  second:
    executor: test.trace
    payload: {trace: /dev/null}
    run_after: first
    priority: 99
  third:
    executor: test.trce
    payload: {trace: /dev/null}
    run_after: nobody
  fourth:
    executor: test.trace
    payload: {trace: 5}
    agent: nobody
  fifth:
    executor: test.trace
    payload: {trace: /dev/null}
    priority: x
  sixth:
    executor: test.trace
    payload: {trace: 5}
    run_after: fifth
"""
    told = {problem.partition(":")[0]: problem for problem in refusals(organisation, text)}
    assert 'windows "someday"' in told["line 5 (wrong)"] or "someday" in told["line 5 (wrong)"]
    assert "nonsense" in told["line 10 (first)"]
    assert "priority must be from 0 to 9" in told["line 16 (second)"]
    assert "there is no job 'nobody'" in told["line 20 (third)"]
    assert "Did you mean 'test.trace'" in told["line 18 (third)"]
    assert "there is no agent 'nobody'" in told["line 24 (fourth)"]
    assert 'priority "x"' in told["line 28 (fifth)"]
    assert "payload.trace is 5" in told["line 31 (sixth)"]
    assert len(told) == 8
    assert not BlackoutCalendar.objects.exists()


def test_a_circle_is_refused(organisation: Organisation) -> None:
    text = "version: 1\njobs:\n" + "".join(
        f"  {name}:\n    executor: test.trace\n    payload: {{trace: /dev/null}}\n    run_after: {leader}\n"
        for name, leader in (("a", "b"), ("b", "a"))
    )
    assert refusals(organisation, text) == [
        "line 6 (a): run_after goes in a circle (a → b → a), so that none would ever begin; take it out of one of them"
    ]


def test_hundreds_of_lines_are_imported_at_once(organisation: Organisation) -> None:
    lines = "\n".join(f"{n % 60} {n // 60 % 24} * * * docker exec agent job {n}" for n in range(300))
    assert len(imported(organisation, lines).jobs) == 300
    assert Schedule.objects.count() == 300
