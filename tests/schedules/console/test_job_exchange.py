"""``job import``, ``job export`` and ``job apply`` as a person types them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fleet.actors import Actor
from fleet.models import Organisation
from fleet.services.agents import agent_create
from schedules.models import Run, Schedule
from schedules.services.exchange import plan_apply
from schedules.services.runs import run_now
from schedules.services.schedules import schedule_update
from tests.console import Manage

pytestmark = pytest.mark.usefixtures("redis_down")

CRONTAB = """\
MAILTO=ops@example.com
CRON_TZ=Asia/Shanghai
# The workspace, to S3
0 2 * * * /usr/bin/docker exec agent s3 backup >> /var/log/backup.log 2>&1
@hourly docker exec agent s3 check
"""
JOBS = """\
version: 1

blackouts:
  holidays:
    windows: 12-24..01-02

jobs:
  nightly:
    expression: 0 2 * * *
    executor: test.trace
    payload:
      trace: /dev/null

  report:
    run_after: nightly
    blackouts:
    - holidays
    executor: test.trace
    payload:
      trace: /dev/null
"""
NOTHING = "version: 1\njobs: {}\nblackouts: {}\n"


@pytest.fixture(autouse=True)
def organisation(transactional_db: None) -> Organisation:
    organisation = Organisation.objects.create(slug="main", name="Main")
    agent_create(organisation=organisation, slug="agent", container_name="agent", actor=Actor.command("test"))
    return organisation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agent.crontab").write_text(CRONTAB)
    (tmp_path / "jobs.yaml").write_text(JOBS)
    (tmp_path / "nothing.yaml").write_text(NOTHING)
    return tmp_path


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_crontab_is_imported(manage: Manage, folder: Path) -> None:
    answer = manage("job", "import", str(folder / "agent.crontab"))
    assert answer.code == 0, answer.err
    assert [line.split()[:2] for line in answer.out.splitlines()[1:]] == [
        ["4", "agent-s3-backup"],
        ["5", "agent-s3-check"],
    ]
    assert "Every day at 02:00, Asia/Shanghai" in answer.out
    assert "line 4 (agent-s3-backup): >> /var/log/backup.log 2>&1 dropped" in answer.err
    assert "line 1: MAILTO dropped" in answer.err
    assert answer.err.endswith("Imported 2 jobs.\n")
    assert Schedule.objects.get(name="agent-s3-backup").description == "The workspace, to S3"


def test_a_dry_run_imports_nothing(manage: Manage, folder: Path) -> None:
    answer = manage("job", "import", str(folder / "agent.crontab"), "--dry-run", "--json")
    assert answer.json["imported"] is False
    assert [each["name"] for each in answer.json["jobs"]] == ["agent-s3-backup", "agent-s3-check"]
    assert answer.json["jobs"][0]["next_run_at"]
    assert answer.err.endswith("2 jobs can be imported; this was a dry run.\n")
    assert not Schedule.objects.exists()


def test_the_standard_input_is_read(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "0 2 * * * cd /srv && ./go.sh\n")
    answer = manage("job", "import", "-", "--agent", "agent", "--timezone", "Europe/Berlin")
    assert answer.code == 0, answer.err
    schedule = Schedule.objects.get()
    assert (schedule.timezone, str(schedule.agent)) == ("Europe/Berlin", "agent")


def test_every_wrong_line_is_told_and_nothing_is_imported(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "0 25 * * * docker exec agent ls\n@daily docker exec agent ls\n@reboot docker exec agent ls\n")
    answer = manage("job", "import", "-", "--json")
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert lines[0] == "Error: Nothing was imported."
    assert lines[1] == 'line 1 (agent-ls): hour "25": has to be between 0 and 23; try "0 23 * * *"'
    assert [problem["line"] for problem in answer.json["problems"]] == [1, 3]
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "missing.crontab"), "missing.crontab can't be read: no such file"),
        (("import", "."), "can't be read: is a directory"),
        (("import", "agent.crontab", "--timezone", "Asia/Shanghia"), 'try "Asia/Shanghai"'),
        (("import", "agent.crontab", "--agent", "agnt"), "Did you mean 'agent'?"),
        (("import", "agent.crontab", "--format", "yaml"), "is not YAML"),
        (("import", "jobs.yaml", "--agent", "agent"), "YAML says it itself"),
        (("apply", "agent.crontab"), "Nothing was applied."),
        (("apply", "missing.yaml"), "can't be read"),
        (("export", "nightly"), "There is no job named 'nightly'"),
        (("export", "--output", "missing/folder.yaml"), "can't be written: no such file"),
    ],
)
def test_a_wrong_argument_is_told(
    manage: Manage, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    answer = manage("job", *arguments)
    assert answer.code in {1, 2}
    assert said in answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err


def test_a_file_is_applied_and_exported_as_it_was(manage: Manage, folder: Path) -> None:
    answer = manage("job", "apply", str(folder / "jobs.yaml"))
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "+ create  holidays (blackout)",
        "+ create  nightly              Every day at 02:00, UTC",
        "+ create  report               Only when started by hand, after nightly (success)",
    ]
    assert answer.err == "3 to create.\nApplied.\n"
    assert manage("job", "export").out == JOBS
    again = manage("job", "apply", str(folder / "jobs.yaml"))
    assert (again.code, again.out, again.err) == (0, "", "Nothing to do: main has what the file says.\n")


def test_an_export_goes_to_a_file_that_is_ones_own(manage: Manage, folder: Path) -> None:
    manage("job", "apply", str(folder / "jobs.yaml"))
    answer = manage("job", "export", "--output", str(folder / "out.yaml"))
    assert (answer.code, answer.out) == (0, "")
    assert (folder / "out.yaml").read_text() == JOBS
    assert (folder / "out.yaml").stat().st_mode & 0o777 == 0o600
    assert list(manage("job", "export", "report", "--json").json["jobs"]) == ["report"]
    assert "report runs after nightly, which is not in the file." in manage("job", "export", "report").err


def test_a_plan_is_shown_and_a_dry_run_changes_nothing(manage: Manage, folder: Path) -> None:
    manage("job", "apply", str(folder / "jobs.yaml"))
    changed = JOBS.replace("0 2 * * *", "0 3 * * *").replace("/dev/null", "/dev/zero", 1)
    changed = changed.replace("  report:\n", "  report:\n    enabled: false\n    paused_reason: nobody reads it\n")
    (folder / "changed.yaml").write_text(changed)
    answer = manage("job", "apply", str(folder / "changed.yaml"), "--dry-run")
    assert answer.out.splitlines() == [
        '~ update  nightly  expression: "0 2 * * *" → "0 3 * * *"',
        '                   payload.trace: "/dev/null" → "/dev/zero"',
        "| pause   report   nobody reads it",
    ]
    assert answer.err == "1 to update, 1 to pause.\nNothing was changed: this was a dry run.\n"
    assert manage("job", "export").out == JOBS
    assert manage("job", "apply", str(folder / "changed.yaml"), "--json").json["applied"] is True
    assert manage("job", "export").out == changed
    assert "> enable  report   it was paused: nobody reads it" in manage("job", "apply", str(folder / "jobs.yaml")).out


def test_deleting_asks_or_needs_yes(manage: Manage, folder: Path) -> None:
    manage("job", "apply", str(folder / "jobs.yaml"))
    kept = manage("job", "apply", str(folder / "nothing.yaml"))
    assert kept.code == 0
    assert "Not in the file, and left alone: nightly, report, holidays. --prune deletes them." in kept.err
    run_now(schedule=Schedule.objects.get(name="nightly"), actor=Actor.command("test"))
    answer = manage("job", "apply", str(folder / "nothing.yaml"), "--prune")
    assert answer.code == 2
    assert answer.out.splitlines() == [
        "- delete  report               Only when started by hand",
        "- delete  nightly              Every day at 02:00, UTC",
        "- delete  holidays (blackout)",
    ]
    assert "Delete report, nightly, holidays? 1 active runs are cancelled." in answer.err
    assert "--yes" in answer.err
    assert Schedule.objects.count() == 2
    assert manage("job", "apply", str(folder / "nothing.yaml"), "--prune", "--yes").code == 0
    assert not Schedule.objects.exists()
    assert Run.objects.get().status == Run.Status.CANCELLED


def test_an_edit_while_the_plan_is_read_is_not_overwritten(
    manage: Manage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage("job", "apply", str(folder / "jobs.yaml"))

    def planned(**asked: object) -> object:
        plan = plan_apply(**asked)  # type: ignore[arg-type]
        schedule_update(schedule=Schedule.objects.get(name="nightly"), actor=Actor.command("other"), priority=9)
        return plan

    monkeypatch.setattr("schedules.console.job.apply.plan_apply", planned)
    answer = manage("job", "apply", str(folder / "nothing.yaml"), "--prune", "--yes")
    assert answer.code == 1
    assert "changed since this plan was made" in answer.err
    assert Schedule.objects.count() == 2


def test_what_a_command_is_given_is_not_shown_in_a_plan(manage: Manage, folder: Path) -> None:
    text = (
        "version: 1\njobs:\n  a:\n    executor: container.command\n"
        "    payload: {{command: docker exec -e T={} agent x}}\n"
    )
    (folder / "a.yaml").write_text(text.format("first"))
    manage("job", "apply", str(folder / "a.yaml"))
    (folder / "a.yaml").write_text(text.format("second"))
    dry = manage("job", "apply", str(folder / "a.yaml"), "--dry-run")
    assert dry.out == "~ update  a  payload.command: a value behind -e differs\n"
    machine = manage("job", "apply", str(folder / "a.yaml"), "--json")
    assert "second" not in machine.out
    assert machine.json["steps"][0]["changes"]["payload.command"]["after"] == "docker exec -e T=*** agent x"
    assert "given values with -e" in manage("job", "export").err
