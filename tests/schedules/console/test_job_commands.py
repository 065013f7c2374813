"""``manage.py job``: the words of SOP-001, exit codes, and errors that say what to do."""

from __future__ import annotations

import pytest

from fleet.actors import Actor
from fleet.models import AuditEntry, Organisation
from fleet.services.agents import agent_create
from schedules.models import Run, Schedule
from tests.console import Manage

pytestmark = pytest.mark.usefixtures("redis_down")

SOP = (
    "job", "create", "--displayname", "Workspace S3 Backup", "--schedule", "@manually",
    "--command", "docker exec agent s3 backup", "--executor", "background",
)  # fmt: skip


@pytest.fixture(autouse=True)
def organisation(transactional_db: None) -> Organisation:
    organisation = Organisation.objects.create(slug="main", name="Main")
    agent_create(organisation=organisation, slug="agent", container_name="agent", actor=Actor.command("test"))
    return organisation


def create(manage: Manage, name: str, schedule: str = "@manually", *more: str) -> str:
    answer = manage(
        "job", "create", "--displayname", name, "--schedule", schedule, "--executor", "test.trace",
        "--payload", '{"trace": "/dev/null"}', *more,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    return answer.out.strip()


def test_the_sops_own_line(manage: Manage) -> None:
    answer = manage(*SOP)
    assert answer.code == 0, answer.err
    assert answer.out == "workspace-s3-backup\n"
    schedule = Schedule.objects.get()
    assert (schedule.kind, schedule.executor, str(schedule.agent)) == ("manual", "container.command", "agent")
    assert schedule.payload == {"command": "docker exec agent s3 backup"}
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.actor_kind) == ("schedule.create", "command")


def test_a_clash_shows_the_taken_name(manage: Manage) -> None:
    manage(*SOP)
    answer = manage(*SOP)
    assert answer.code == 1
    assert "'workspace-s3-backup' is taken" in answer.err
    assert Schedule.objects.count() == 1


def test_a_chinese_name_gets_a_readable_slug(manage: Manage) -> None:
    assert create(manage, "每日备份") == "job-1"
    assert create(manage, "每周备份") == "job-2"
    again = manage("job", "create", "--displayname", "每周备份", "--schedule", "@manually", "--executor", "test.trace")
    assert again.code in {1, 2}
    assert "每周备份" in manage("job", "ls").out
    assert create(manage, "备份 agent") == "agent"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--schedule", "0 25 * * *"), ["25", "hour"]),
        (("--schedule", "every day"), ["every day"]),
        (("--schedule", "0 0 30 2 *"), ["30"]),
        (("--schedule", "@at 2020-01-01T00:00:00Z"), ["past"]),
        (("--timezone", "Asia/Shanghia"), ["Asia/Shanghia", "Asia/Shanghai"]),
        (("--command", "docker exec agnt s3 backup"), ["'agnt'", "Did you mean 'agent'"]),
        (("--command", "rm -rf /"), ["docker exec"]),
        (("--command", "docker exec agent s3 backup | tee log"), ["|"]),
        (("--executor", "container.comand"), ["container.command"]),
        (("--timeout", "0"), ["timeout"]),
        (("--retries", "-1"), ["max_retries"]),
        (("--displayname", " "), ["display name"]),
        (("--agent", "nobody"), ["nobody"]),
        (("--payload", "{"), ["payload"]),
    ],
)
def test_a_refusal_names_the_value_and_creates_nothing(
    manage: Manage, change: tuple[str, str], said: list[str]
) -> None:
    answer = manage(*SOP, *change)
    assert answer.code in {1, 2}
    for text in said:
        assert text in answer.err
    assert answer.err.count("\n") == 1, "one clear line"
    assert answer.out == ""
    assert not Schedule.objects.exists()


def test_a_missing_option_is_a_usage_error(manage: Manage) -> None:
    answer = manage("job", "create", "--displayname", "x")
    assert answer.code == 2
    assert "--schedule" in answer.err


def test_running_while_redis_is_down_keeps_the_run(manage: Manage) -> None:
    create(manage, "later")
    answer = manage("job", "run", "later")
    assert answer.code == 0
    assert "Redis can't be reached; the run waits in the queue" in answer.err
    run = Run.objects.get()
    assert (run.status, run.job_run_id) == ("queued", answer.out.strip())
    assert manage("job", "cancel", run.job_run_id).code == 0
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert manage("job", "cancel", run.job_run_id).code == 1
    assert manage("job", "retry", run.job_run_id).code == 0
    assert Run.objects.count() == 2


def test_logs_of_a_job_that_has_not_run_say_what_to_do(manage: Manage) -> None:
    create(manage, "idle")
    answer = manage("job", "logs", "idle", "--last")
    assert answer.code == 1
    assert "has not run yet" in answer.err
    assert "manage.py job run idle" in answer.err


def test_a_mistyped_job_is_answered_with_a_near_one(manage: Manage) -> None:
    create(manage, "workspace backup")
    answer = manage("job", "run", "workspace-bakup")
    assert answer.code == 1
    assert "Did you mean 'workspace-backup'?" in answer.err


def test_listing(manage: Manage) -> None:
    assert "has no jobs yet" in manage("job", "ls").err
    create(manage, "Night Backup", "0 2 * * *", "--timezone", "Asia/Shanghai", "--description", "sauvegarde")
    create(manage, "Scan")
    listed = manage("job", "ls", "--query", "backup")
    assert "night-backup" in listed.out
    assert "02:00" in listed.out
    assert "scan" not in listed.out
    assert [each["name"] for each in manage("job", "ls", "--query", "SAUVE", "--json").json] == ["night-backup"]
    shown = manage("job", "show", "night-backup").out
    assert "Asia/Shanghai" in shown
    assert len(manage("job", "show", "night-backup", "--json").json["next_fires"]) == 5


def test_a_broken_row_does_not_break_the_list(manage: Manage) -> None:
    create(manage, "broken", "0 2 * * *")
    Schedule.objects.update(expression="nonsense", timezone="Nowhere/Land")
    answer = manage("job", "ls")
    assert answer.code == 0, answer.err
    assert "broken" in answer.out


def test_disable_shows_its_reason_and_enable_fires_again(manage: Manage) -> None:
    create(manage, "nightly", "0 2 * * *")
    assert manage("job", "disable", "nightly", "--reason", "moving house").code == 0
    assert "moving house" in manage("job", "show", "nightly").out
    answer = manage("job", "enable", "nightly")
    assert "Next:" in answer.err


def test_delete_asks_or_needs_yes(manage: Manage) -> None:
    create(manage, "gone")
    answer = manage("job", "delete", "gone")
    assert answer.code == 2
    assert "--yes" in answer.err
    assert manage("job", "delete", "gone", "--yes").code == 0
    assert not Schedule.objects.exists()


def test_delete_keeps_the_runs_and_cancels_what_waits(manage: Manage) -> None:
    create(manage, "gone")
    manage("job", "run", "gone")
    manage("job", "delete", "gone", "--yes")
    run = Run.objects.get()
    assert (run.status, run.schedule, run.schedule_name) == ("cancelled", None, "gone")


def test_concurrency_words(manage: Manage) -> None:
    create(manage, "one", "@hourly", "--concurrency", "forbid")
    create(manage, "many", "@hourly", "--concurrency", "allow")
    one, many = Schedule.objects.get(name="one"), Schedule.objects.get(name="many")
    assert (one.overlap, one.max_concurrent_runs) == ("skip", 1)
    assert (many.overlap, many.max_concurrent_runs > 1) == ("queue_all", True)


def test_another_organisations_job_is_not_there(manage: Manage) -> None:
    create(manage, "mine")
    Organisation.objects.create(slug="other", name="Other")
    assert manage("job", "show", "mine").code == 1, "which organisation?"
    assert manage("job", "show", "mine", "--org", "other").code == 1
    assert manage("job", "show", "mine", "--org", "main").code == 0


def test_status_says_what_is_down(manage: Manage) -> None:
    answer = manage("status", "--json")
    assert answer.code == 1
    state = {each["part"]: each["ok"] for each in answer.json}
    assert state["database"]
    assert not state["redis"]
    assert not state["beat"]
    assert "no worker is alive" in manage("status").out


def test_bootstrap_may_be_repeated(manage: Manage) -> None:
    first = manage("bootstrap", "--json").json
    again = manage("bootstrap", "--json").json
    assert first["admin"]["password"]
    assert again["admin"]["password"] is None
    assert Schedule.objects.filter(name="demo-workspace-backup").count() == 1
