"""An organisation becomes what a reviewed file says: planned, agreed, carried out at once or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.errors import Conflict
from fleet.models import Agent, AuditEntry, Organisation
from schedules.exchange import Refused
from schedules.models import BlackoutCalendar, Run, Schedule, SkipSpan
from schedules.services.exchange import apply, export_jobs, plan_apply
from schedules.services.schedules import schedule_create, schedule_delete, schedule_disable, schedule_update
from tests.schedules.exchange.organisations import (
    ACTOR,
    applied,
    document,
    exported,
    organisation_with_agents,
    steps,
)

pytestmark = pytest.mark.usefixtures("transactional_db")

FILE = """\
version: 1

blackouts:
  holidays:
    timezone: Europe/Berlin
    windows: 12-24..01-02

jobs:
  backup:
    expression: 0 2 * * *
    run_after: scan
    blackouts:
    - holidays
    agent: agent
    executor: container.command
    payload:
      command: docker exec agent s3 backup

  scan:
    enabled: false
    paused_reason: moving house
    expression: '@daily'
    executor: test.trace
    payload:
      trace: /dev/null
"""


@pytest.fixture
def organisation(transactional_db: None) -> Organisation:
    return organisation_with_agents("agent")


def test_a_file_becomes_jobs_and_is_exported_as_it_was(organisation: Organisation) -> None:
    assert steps(applied(organisation, FILE)) == ["create holidays", "create scan", "create backup"]
    assert exported(organisation) == FILE


def test_applying_it_again_changes_nothing(organisation: Organisation) -> None:
    applied(organisation, FILE)
    rows = list(Schedule.objects.order_by("pk").values())
    entries = AuditEntry.objects.count()
    plan = applied(organisation, exported(organisation), prune=True)
    assert (plan.steps, plan.unchanged) == ((), ("backup", "scan"))
    assert list(Schedule.objects.order_by("pk").values()) == rows
    assert AuditEntry.objects.count() == entries


def test_a_plan_alone_changes_nothing(organisation: Organisation) -> None:
    plan = plan_apply(organisation=organisation, actor=ACTOR, document=document(FILE))
    assert len(plan.steps) == 3
    assert not Schedule.objects.exists()
    assert not AuditEntry.objects.exists()


def test_changes_go_through_the_services(organisation: Organisation) -> None:
    applied(organisation, FILE)
    changed = (
        FILE.replace("0 2 * * *", "0 3 * * *")
        .replace("    run_after: scan\n", "")
        .replace("    blackouts:\n    - holidays\n", "")
        .replace("    enabled: false\n    paused_reason: moving house\n", "")
        .replace("12-24..01-02", "12-24..01-06")
    )
    assert steps(applied(organisation, changed)) == ["update holidays", "update backup", "enable scan"]
    backup = Schedule.objects.get(name="backup")
    assert (backup.expression, backup.run_after, backup.blackouts.count()) == ("0 3 * * *", None, 0)
    assert Schedule.objects.get(name="scan").enabled
    assert exported(organisation) == changed
    actions = AuditEntry.objects.order_by("-pk").values_list("action", flat=True)[:4]
    assert list(actions) == ["schedule.enable", "schedule.update", "schedule.update", "blackout.update"]


def test_a_pause_gets_its_reason_and_may_get_another(organisation: Organisation) -> None:
    applied(organisation, FILE)
    assert steps(applied(organisation, FILE.replace("moving house", "still moving"))) == ["pause scan"]
    assert Schedule.objects.get(name="scan").paused_reason == "still moving"
    assert SkipSpan.objects.get(schedule__name="scan", last_fire_at=None).detail == "still moving"
    enabled = FILE.replace("    enabled: false\n    paused_reason: moving house\n", "")
    assert steps(applied(organisation, enabled)) == ["enable scan"]
    assert steps(applied(organisation, FILE)) == ["pause scan"]
    assert exported(organisation) == FILE


def test_what_is_not_in_the_file_is_kept_or_pruned(organisation: Organisation) -> None:
    applied(organisation, FILE)
    empty = "version: 1\n\nblackouts: {}\n\njobs: {}\n"
    plan = applied(organisation, empty)
    assert (plan.steps, plan.kept) == ((), ("backup", "scan", "holidays"))
    assert steps(applied(organisation, empty, prune=True)) == ["delete backup", "delete scan", "delete holidays"]
    assert (Schedule.objects.count(), BlackoutCalendar.objects.count()) == (0, 0)
    assert exported(organisation) == empty


def test_pruning_leaves_alone_what_the_file_does_not_speak_of(organisation: Organisation) -> None:
    applied(organisation, FILE)
    applied(organisation, "version: 1\njobs: {}\n", prune=True)
    assert (Schedule.objects.count(), BlackoutCalendar.objects.count()) == (0, 1)


def test_pruning_cancels_what_waits(organisation: Organisation, redis_down: None) -> None:
    from schedules.services.runs import run_now

    applied(organisation, FILE)
    run = run_now(schedule=Schedule.objects.get(name="scan"), actor=ACTOR).run
    plan_apply(organisation=organisation, actor=ACTOR, document=document("version: 1\njobs: {}\n"), prune=True)
    run.refresh_from_db()
    assert run.status == Run.Status.QUEUED
    applied(organisation, "version: 1\njobs: {}\n", prune=True)
    run.refresh_from_db()
    assert (run.status, run.schedule) == (Run.Status.CANCELLED, None)


def test_a_chain_may_be_turned_around(organisation: Organisation) -> None:
    applied(organisation, FILE)
    turned = FILE.replace("    run_after: scan\n", "").replace(
        "    executor: test.trace\n", "    run_after: backup\n    executor: test.trace\n"
    )
    applied(organisation, turned)
    assert str(Schedule.objects.get(name="scan").run_after) == "backup"
    applied(organisation, FILE)
    assert str(Schedule.objects.get(name="backup").run_after) == "scan"


def test_a_longer_chain_may_be_turned_around(organisation: Organisation) -> None:
    def chained(**followed: str) -> str:
        job = "  {}:\n    executor: test.trace\n    payload: {{trace: /dev/null}}\n    run_after: {}\n"
        return "version: 1\njobs:\n" + "".join(job.format(name, followed.get(name, "null")) for name in "lmn")

    applied(organisation, chained(l="m", m="n"))
    assert steps(applied(organisation, chained(l="m", n="l"))) == ["update m", "update n"]
    assert steps(applied(organisation, chained(m="n", l="m"))) == ["update n", "update m"]


def test_a_leader_may_go_when_its_follower_no_longer_follows(organisation: Organisation) -> None:
    applied(organisation, FILE)
    without = FILE[: FILE.index("  scan:")].replace("    run_after: scan\n", "")
    assert steps(applied(organisation, without, prune=True)) == ["update backup", "delete scan"]


def test_nothing_is_applied_when_one_line_is_wrong(organisation: Organisation) -> None:
    applied(organisation, FILE)
    wrong = FILE.replace("0 2 * * *", "0 3 * * *").replace("'@daily'", "0 25 * * *").replace("12-24..01-02", "someday")
    with pytest.raises(Refused) as refused:
        plan_apply(organisation=organisation, actor=ACTOR, document=document(wrong), prune=True)
    assert [problem.line for problem in refused.value.problems] == [6, 22]
    assert exported(organisation) == FILE


def test_a_file_that_can_be_read_in_part_prunes_nothing(organisation: Organisation) -> None:
    applied(organisation, FILE)
    with pytest.raises(Refused) as refused:
        plan_apply(
            organisation=organisation, actor=ACTOR, document=document(FILE.replace("expression", "exp")), prune=True
        )
    assert len(refused.value.problems) == 2


def edit(organisation: Organisation) -> None:
    schedule_update(schedule=Schedule.objects.get(name="scan"), actor=ACTOR, priority=9)


def delete(organisation: Organisation) -> None:
    Schedule.objects.update(run_after=None)
    schedule_delete(schedule=Schedule.objects.get(name="scan"), actor=ACTOR)


def pause(organisation: Organisation) -> None:
    schedule_disable(schedule=Schedule.objects.get(name="backup"), actor=ACTOR)


def create(organisation: Organisation) -> None:
    payload = {"trace": "/dev/null"}
    schedule_create(organisation=organisation, actor=ACTOR, display_name="new", executor="test.trace", payload=payload)


def change_calendar(organisation: Organisation) -> None:
    BlackoutCalendar.objects.update(windows="sat")


@pytest.mark.parametrize("meanwhile", [edit, delete, pause, create, change_calendar])
@pytest.mark.parametrize("prune", [False, True])
def test_an_edit_since_the_plan_is_not_overwritten(
    organisation: Organisation, meanwhile: Callable[[Organisation], None], prune: bool
) -> None:
    applied(organisation, FILE)
    wanted = document("version: 1\nblackouts: {}\njobs: {}\n" if prune else FILE.replace("0 2 * * *", "0 3 * * *"))
    plan = plan_apply(organisation=organisation, actor=ACTOR, document=wanted, prune=prune)
    meanwhile(organisation)
    before = exported(organisation)
    with pytest.raises(Conflict, match="changed since this plan was made"):
        apply(organisation=organisation, actor=ACTOR, document=wanted, agreed=plan, prune=prune)
    assert exported(organisation) == before


def test_a_fire_that_is_planned_meanwhile_is_no_edit(organisation: Organisation) -> None:
    applied(organisation, FILE)
    wanted = document(FILE.replace("0 2 * * *", "0 3 * * *"))
    plan = plan_apply(organisation=organisation, actor=ACTOR, document=wanted)
    Schedule.objects.filter(name="backup").update(version=7, planned_runs=1)
    apply(organisation=organisation, actor=ACTOR, document=wanted, agreed=plan)
    assert Schedule.objects.get(name="backup").expression == "0 3 * * *"


def test_an_agent_that_is_left_out_is_the_one_of_the_container(organisation: Organisation) -> None:
    text = FILE.replace("    agent: agent\n", "")
    applied(organisation, text)
    assert exported(organisation) == FILE
    assert applied(organisation, text).steps == ()


def test_only_what_the_organisation_has_is_seen(organisation: Organisation) -> None:
    applied(organisation, FILE)
    other = organisation_with_agents("other")
    assert exported(other) == "version: 1\n\nblackouts: {}\n\njobs: {}\n"
    with pytest.raises(Refused, match="there is no agent 'agent'"):
        applied(other, FILE)
    applied(other, FILE.replace(" agent", " other").replace("    other:", "    agent:"), prune=True)
    assert exported(organisation) == FILE


def test_some_jobs_are_exported_with_their_calendars(organisation: Organisation) -> None:
    applied(organisation, FILE.replace("  holidays:", "  more:\n    windows: sat\n\n  holidays:"))
    part = export_jobs(organisation, ["backup"])
    assert [*part.job_values(), *part.blackout_values()] == ["backup", "holidays"]
    assert part.notes == ("backup runs after scan, which is not in the file.",)


def test_an_export_with_values_behind_e_says_so(organisation: Organisation) -> None:
    applied(organisation, FILE.replace("exec agent", "exec -e TOKEN=secret agent"))
    assert "given values with -e" in export_jobs(organisation).notes[0]
    assert "secret" in exported(organisation)
    assert "secret" not in str(list(AuditEntry.objects.values_list("after", flat=True)))


def test_a_damaged_row_does_not_keep_the_others_from_being_exported(organisation: Organisation) -> None:
    applied(organisation, FILE)
    Schedule.objects.filter(name="scan").update(expression="nonsense", timezone="Nowhere/Land")
    assert "expression: nonsense" in exported(organisation)


def test_an_agent_that_went_meanwhile_is_told(organisation: Organisation) -> None:
    wanted = document(FILE)
    plan = plan_apply(organisation=organisation, actor=ACTOR, document=wanted)
    Agent.objects.all().delete()
    with pytest.raises(Refused, match="there is no agent 'agent'"):
        apply(organisation=organisation, actor=ACTOR, document=wanted, agreed=plan)
    assert not Schedule.objects.exists()
