"""Dkron's exports become jobs; what can't be carried over is said with each."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schedules.exchange import AgentTarget, Document, Entry, JobDocument, Refused, Source, read

AGENT = Source(timezone="UTC", agent=AgentTarget(slug="night", container="night-1"))
COMMAND = {"command": "docker exec agent s3 backup", "timeout": "10m"}

#: As GET /v1/jobs answers, of a server of version 3.2.
EXPORTED = {
    "id": "nightly",
    "name": "nightly",
    "displayname": "Nightly backup",
    "timezone": "Asia/Shanghai",
    "schedule": "0 30 2 * * 1-5",
    "owner": "Ops",
    "owner_email": "ops@example.com",
    "success_count": 12,
    "error_count": 1,
    "last_success": "2026-02-24T18:30:04.27Z",
    "last_error": None,
    "disabled": False,
    "tags": {"server": "true:1"},
    "metadata": {"team": "night", "cost": "low"},
    "retries": 2,
    "dependent_jobs": ["after"],
    "parent_job": "",
    "processors": {"log": {"forward": "true"}},
    "concurrency": "forbid",
    "executor": "shell",
    "executor_config": {"command": "docker exec agent s3 backup", "shell": "true", "timeout": "1h30m"},
    "status": "success",
    "next": "2026-02-25T18:30:00Z",
    "ephemeral": False,
    "expires_at": None,
}


def dkron(*jobs: dict[str, Any], source: Source | None = None) -> Document:
    return read(json.dumps(jobs, indent=1).encode(), kind="dkron", source=source or Source(timezone="UTC"))


def job(**fields: Any) -> dict[str, Any]:
    return {"name": "nightly", "schedule": "@daily", "executor": "shell", "executor_config": COMMAND, **fields}


def entry(*, source: Source | None = None, **fields: Any) -> Entry[JobDocument]:
    document = dkron(job(**fields), source=source)
    assert not document.problems, document.problems
    (found,) = document.jobs or ()
    return found


def test_what_a_job_is_is_carried_over_and_what_is_not_is_said() -> None:
    (found,) = dkron(EXPORTED).jobs or ()
    assert found.value == JobDocument(
        name="nightly",
        display_name="Nightly backup",
        description="owner: Ops <ops@example.com>\ncost: low\nteam: night",
        expression="0 30 2 * * 1-5",
        timezone="Asia/Shanghai",
        executor="container.command",
        payload={"command": "docker exec agent s3 backup"},
        timeout_seconds=5400,
        max_retries=2,
    )
    assert found.notes == (
        "tags dropped: which node runs it has no meaning here",
        "processors dropped: every run's output is kept in its log",
    )


def test_a_single_job_is_read_as_a_list_of_one() -> None:
    document = read(json.dumps(EXPORTED).encode(), name="job.json")
    assert [found.value.name for found in document.jobs or ()] == ["nightly"]


@pytest.mark.parametrize(
    "schedule", ["@every 1h30m", "@at 2999-01-01T00:00:00Z", "@manually", "0 0 2 * * *", "~ ~ ~ * * *"]
)
def test_a_schedule_stays_as_it_is_written(schedule: str) -> None:
    assert entry(schedule=schedule).value.expression == schedule


@pytest.mark.parametrize(
    ("concurrency", "overlap", "at_once"),
    [("allow", "queue_all", 1000), ("", "queue_all", 1000), ("forbid", "skip", 1)],
)
def test_concurrency(concurrency: str, overlap: str, at_once: int) -> None:
    value = entry(concurrency=concurrency).value
    assert (value.overlap, value.max_concurrent_runs) == (overlap, at_once)


def test_a_disabled_job_is_paused() -> None:
    value = entry(disabled=True).value
    assert (value.enabled, value.paused_reason) == (False, "disabled in Dkron")


def test_a_child_runs_after_its_parent_succeeded() -> None:
    document = dkron(job(), job(name="after", parent_job="nightly", schedule=""))
    after = document.job_values()["after"]
    assert (after.run_after, after.run_after_on, after.expression) == ("nightly", "success", "@manually")


def test_names_of_other_letters_are_written_with_ours() -> None:
    document = dkron(job(name="été"), job(name="_ete", parent_job="été"), job(name="每日"))
    assert [found.value.name for found in document.jobs or ()] == ["ete", "ete-2", "job"]
    assert document.job_values()["ete-2"].run_after == "ete"
    (first, *_) = document.jobs or ()
    assert "named ete: a job's name has plain letters here" in first.notes
    assert first.value.display_name == "été"


def test_bounds() -> None:
    value = entry(starts_at="2026-03-01T00:00:00+08:00", expires_at="2026-04-01T00:00:00.123456789Z").value
    assert value.starts_at == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert value.ends_at == datetime(2026, 4, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert entry(expires_at="0001-01-01T00:00:00Z").value.ends_at is None


def test_an_ephemeral_job_ends_after_one_run() -> None:
    found = entry(ephemeral=True)
    assert found.value.max_runs == 1
    assert found.notes == ("ephemeral: it ends after one run (max_runs 1), and stays in the list",)


def test_a_job_without_a_zone_follows_its_server() -> None:
    assert "Name that with --timezone" in dkron(job(), source=Source()).notes[0]
    assert entry(source=Source(timezone="Asia/Shanghai")).value.timezone == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("90s", 90), ("1h30m", 5400), ("45", 45), (45, 45), ("", 3600), (None, 3600)]
)
def test_timeouts_are_durations_or_seconds(timeout: object, seconds: int) -> None:
    found = entry(executor_config={**COMMAND, "timeout": timeout})
    assert found.value.timeout_seconds == seconds
    assert any("no time limit" in note for note in found.notes) == (not timeout)


@pytest.mark.parametrize("env", ["A=1,B=2", '{"A": "1", "B": 2}', {"A": "1", "B": "2"}])
def test_a_hosts_command_runs_in_the_container_of_the_agent_that_the_caller_names(env: object) -> None:
    config = {"command": "cd /srv && ./go", "shell": "true", "env": env, "cwd": "/srv", "timeout": "1m"}
    value = entry(executor_config=config, source=AGENT).value
    assert value.agent == "night"
    assert value.payload == {"command": "docker exec -e A=1 -e B=2 -w /srv night-1 sh -c 'cd /srv && ./go'"}


def test_without_a_shell_the_words_are_the_command() -> None:
    config = {"command": "go --name 'a b'", "timeout": "1m"}
    assert entry(executor_config=config, source=AGENT).value.payload == {
        "command": "docker exec night-1 go --name 'a b'"
    }


def test_what_docker_exec_does_not_hand_on_is_said() -> None:
    notes = entry(executor_config={**COMMAND, "env": "A=1", "cwd": "/srv", "mem_limit_kb": "16384"}).notes
    assert [note.partition(" dropped")[0] for note in notes] == ["executor_config.mem_limit_kb", "A", "cwd"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"executor": "http"}, "docker exec CONTAINER curl -fsS URL"),
        ({"executor": "kafka"}, 'the executor "kafka" is not here'),
        ({"executor_config": {"command": "rm -rf /"}}, "--agent NAME"),
        ({"executor_config": {}}, "executor_config.command is missing"),
        ({"executor_config": []}, "executor_config.command is missing"),
        ({"executor_config": [1]}, "executor_config has to be an object"),
        ({"executor_config": {**COMMAND, "timeout": "soon"}}, "try 10m"),
        ({"executor_config": {**COMMAND, "env": "A"}}, "no NAME=VALUE"),
        ({"executor_config": {**COMMAND, "env": "{"}}, "is not JSON"),
        ({"concurrency": "maybe"}, "it is allow or forbid"),
        ({"retries": "3"}, 'max_retries "3" has to be a whole number'),
        ({"expires_at": "soon"}, 'ends_at "soon" is not an instant'),
        ({"timezone": 5}, "timezone 5 has to be text"),
        ({"metadata": []}, None),
        ({"metadata": [1]}, "metadata has to be an object"),
        ({"displayname": "a\0b"}, "NUL"),
        ({"displayname": "\ud800"}, "surrogate"),
    ],
)
def test_a_job_that_cannot_be_taken_is_named_with_the_way_out(fields: dict[str, Any], told: str | None) -> None:
    problems = [str(problem) for problem in dkron(job(**fields)).problems]
    assert len(problems) == (told is not None)
    if told is not None:
        assert problems[0].startswith("line 2 (nightly): ")
        assert told in problems[0]


def test_every_wrong_job_is_told_at_once_with_its_line() -> None:
    text = '[\n{"name": "a"},\n\n{"name": "b", "executor": "http"}, 5,\n{"name": "a"}, {}]'
    problems = [str(problem) for problem in read(text.encode()).problems]
    assert sorted(problem.partition(":")[0] for problem in problems) == [
        "line 2 (a)", "line 4", "line 4 (b)", "line 5", "line 5 (a)", "line 5 (a)",
    ]  # fmt: skip
    assert "line 5 (a): stands here again; it is in line 2" in problems


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "line 1: is not JSON: expecting value"),
        ('[\n{"a": 1}\n', "line 3: is not JSON: a comma or ] is expected here"),
        ('[\n{"a": 1},\n{"a" 1}]', "line 3: is not JSON: expecting ':' delimiter"),
        ('[{"a": 1}] x', "line 1: is not JSON: the file should end here"),
        ('{"a": 1}\n}', "line 2: is not JSON: the file should end here"),
        ('[{"a": 1, "a": 2}]', "'a' stands twice in one object"),
        ('[{"a": NaN}]', "NaN is no JSON number"),
        ("[" * 100_000, "nested too deeply"),
        (f'[{{"a": {"9" * 5000}}}]', "line 1: is not JSON"),
    ],
)
def test_what_is_no_json_is_named_with_its_line(text: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text.encode(), kind="dkron")
    assert told in refused.value.message


def test_an_empty_export_is_empty() -> None:
    assert dkron().jobs == ()
