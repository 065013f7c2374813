"""``job edit``, ``why`` and ``backfill``, and the settings that they share with ``job create``."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fleet.models import Agent, Organisation
from schedules.models import Run, Schedule
from tests.console import Manage

pytestmark = pytest.mark.usefixtures("redis_down")


@pytest.fixture(autouse=True)
def organisation(transactional_db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


def create(manage: Manage, name: str, *more: str, schedule: str = "0 2 * * *") -> Schedule:
    answer = manage(
        "job", "create", "--displayname", name, "--schedule", schedule, "--executor", "test.trace",
        "--payload", '{"trace": "/dev/null"}', *more,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    return Schedule.objects.get(name=answer.out.strip())


def test_every_setting_may_be_said_when_it_is_created(manage: Manage) -> None:
    create(manage, "scan")
    Agent.objects.create(organisation=Organisation.objects.get(), slug="night", runtime="directory")
    job = create(
        manage, "backup", "--timezone", "Asia/Shanghai", "--jitter", "60", "--start-within", "120", "--from",
        "2026-12-01T08:00", "--until", "2026-12-31", "--max-runs", "5", "--pause-after", "3", "--after", "scan",
        "--after-on", "always", "--overlap", "queue_one", "--misfire", "skip", "--catchup", "60", "--priority", "7",
        "--agent", "night", "--retries", "2", "--timeout", "90", "--description", "by night",
    )  # fmt: skip
    assert (job.jitter_seconds, job.start_within_seconds, job.max_runs, job.pause_after_failures) == (60, 120, 5, 3)
    assert job.starts_at == datetime(2026, 12, 1, 0, tzinfo=UTC), "read in the job's zone"
    assert job.ends_at == datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), "a date includes its day"
    assert (job.run_after and job.run_after.name, job.run_after_on) == ("scan", "always")
    assert (job.overlap, job.misfire, job.catchup_seconds, job.priority) == ("queue_one", "skip", 60, 7)
    assert (job.agent and job.agent.slug, job.max_retries, job.timeout_seconds) == ("night", 2, 90)


def test_what_is_not_said_keeps_its_default(manage: Manage) -> None:
    job = create(manage, "plain")
    assert (job.timezone, job.timeout_seconds, job.max_retries, job.overlap) == ("UTC", 3600, None, "skip")


def test_an_edit_changes_what_is_said_and_nothing_else(manage: Manage) -> None:
    job = create(manage, "scan", "--jitter", "60", "--pause-after", "3")
    answer = manage("job", "edit", "scan", "--schedule", "30 4 * * *", "--timezone", "Europe/Berlin")
    assert answer.code == 0, answer.err
    assert "Every day at 04:30, Europe/Berlin" in answer.err
    assert manage("job", "edit", "scan", "--pause-after", "none", "--payload", '{"trace": "/dev/zero"}').code == 0
    job.refresh_from_db()
    assert (job.expression, job.jitter_seconds, job.pause_after_failures) == ("30 4 * * *", 60, None)
    assert job.payload == {"trace": "/dev/zero"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Nothing was said"),
        (("--schedule", "0 25 * * *"), 'hour "25": has to be between 0 and 23; try "0 23 * * *"'),
        (("--timezone", "Asia/Shangai"), "Asia/Shanghai"),
        (("--until", "someday"), 'ends_at "someday": is not a time in ISO 8601'),
        (("--from", "2026-12-02", "--until", "2026-12-01"), "it would never fire"),
        (("--after", "scna"), "Did you mean 'scan'?"),
        (("--after", "scan"), "in a circle"),
        (("--jitter", "100000"), "jitter_seconds must be from 0 to 86400, not 100000"),
        (("--max-runs", "many"), "'many' is no number"),
        (("--overlap", "queue_one", "--concurrency", "allow"), "Say one of them"),
        (("--after-on", "failure"), "name the job that it runs after"),
    ],
)
def test_an_edit_that_can_t_be_taken_says_why(manage: Manage, arguments: tuple[str, ...], text: str) -> None:
    job = create(manage, "scan")
    answer = manage("job", "edit", "scan", *arguments)
    assert answer.code in {1, 2}
    assert text in answer.err
    assert Schedule.objects.get().version == job.version


def test_why_answers_people_and_machines(manage: Manage) -> None:
    create(manage, "scan")
    manage("job", "disable", "scan", "--reason", "storage moves")
    answer = manage("job", "why", "scan")
    assert answer.out.startswith("scan is paused: storage moves.\n  Let it fire again: manage.py job enable scan")
    told = json.loads(manage("job", "why", "scan", "--at", "2026-01-01T02:00:00Z", "--json").out)
    assert told["reason"] == "not_expected"
    assert "The job was created at" in told["details"][0]
    assert 'at "noon"' in manage("job", "why", "scan", "--at", "noon").err


def test_a_backfill_is_shown_then_asked_for(manage: Manage) -> None:
    create(manage, "scan", "--timezone", "Asia/Shanghai")
    asked = ("job", "backfill", "scan", "--from", "2026-03-01", "--to", "2026-03-03")
    answer = manage(*asked, "--dry-run")
    assert (answer.code, Run.objects.count()) == (0, 0)
    assert "2026-03-01 02:00:00 Asia/Shanghai" in answer.err
    assert "3 fires would be run." in answer.err
    refused = manage(*asked)
    assert (refused.code, Run.objects.count()) == (2, 0), "nobody is there to say yes"
    assert manage(*asked, "--yes", "--at-once", "2").code == 0
    assert Run.objects.filter(trigger="backfill").count() == 3
    again = manage(*asked, "--yes")
    assert (again.code, "Left out: 3 succeeded or are under way" in again.err) == (3, True)


def test_one_run_s_log(manage: Manage) -> None:
    create(manage, "scan", schedule="@manually")
    key = manage("job", "run", "scan").out.strip()
    answer = manage("job", "logs", "scan", "--run", key)
    assert (answer.code, key in answer.err) == (0, True)


def test_none_takes_every_setting_back_to_its_default(manage: Manage) -> None:
    create(manage, "scan")
    job = create(
        manage, "backup", "--timezone", "Asia/Shanghai", "--jitter", "60", "--timeout", "5", "--priority", "9",
        "--description", "by night", "--catchup", "1", "--after", "scan",
    )  # fmt: skip
    names = ("timezone", "jitter", "timeout", "priority", "description", "catchup", "after", "agent", "from", "until")
    answer = manage("job", "edit", "backup", *(part for name in names for part in (f"--{name}", "none")))
    assert answer.code == 0, answer.err
    job.refresh_from_db()
    assert (job.timezone, job.jitter_seconds, job.timeout_seconds, job.priority) == ("UTC", 0, 3600, 5)
    assert (job.description, job.catchup_seconds, job.run_after) == ("", 900, None)


def test_the_two_passes_of_a_repeated_hour_are_told_apart(manage: Manage) -> None:
    create(manage, "scan", "--timezone", "America/New_York", schedule="*/30 * * * *")
    shown = manage("job", "backfill", "scan", "--from", "2026-11-01T01:00", "--to", "2026-11-01T06:30:00Z", "--dry-run")
    assert "01:00:00 America/New_York, 05:00:00Z" in shown.err
    assert "01:00:00 America/New_York, 06:00:00Z" in shown.err


def test_what_runs_after_another_says_so_when_it_is_made(manage: Manage) -> None:
    create(manage, "scan")
    answer = manage(
        "job", "create", "--displayname", "b", "--schedule", "@manually", "--executor", "test.trace", "--after", "scan",
        "--payload", '{"trace": "/dev/null"}',
    )  # fmt: skip
    assert "It runs after scan, when it succeeded." in answer.err


def test_without_an_organisation_the_way_to_one_is_told(manage: Manage) -> None:
    Organisation.objects.all().delete()
    answer = manage("job", "forecast")
    assert "There is no organisation yet. Create one: manage.py org create NAME" in answer.err
