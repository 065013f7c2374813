"""Runs: run now, list, read, log, events, retry, cancel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from redis import Redis
from rest_framework.test import APIClient

from fleet.actors import Actor
from fleet.models import AuditEntry
from schedules.engine import lifecycle
from schedules.engine.claims import Claim
from schedules.executors.base import Result
from schedules.models import Run, RunLogChunk, Schedule
from schedules.services.runs import run_cancel, run_now
from schedules.services.schedules import schedule_delete, schedule_disable, schedule_update

ACTOR = Actor.system("test")
RUNS = "/api/v1/schedule-runs"
NOW = "/api/v1/schedules/nightly/run-now"


@pytest.fixture
def schedule(new_schedule: Any) -> Schedule:
    made: Schedule = new_schedule()
    return made


@pytest.fixture
def run(schedule: Schedule) -> Run:
    return run_now(schedule=schedule, actor=ACTOR).run


def started(run: Run) -> Run:
    """The run as a worker holds it."""
    now = timezone.now()
    token = lifecycle.runs_admit([run], now=now)[run.pk]
    claimed = lifecycle.run_claim(Claim(run=run.pk, attempt=run.attempt, token=token), worker="w1", now=now)
    assert claimed is not None
    return claimed


def finished(run: Run, status: Any = "success", **values: Any) -> Run:
    outcome = lifecycle.Outcome(status=status, **values)
    done = lifecycle.run_finish(started(run), outcome, now=timezone.now() + timedelta(seconds=2))
    assert done is not None
    return done


def written(run: Run, number: int, *texts: str, attempt: int = 1) -> None:
    lines = [[1_800_000_000_000 + number, "stdout", text] for text in texts]
    RunLogChunk.objects.create(run=run, attempt=attempt, number=number, lines=lines)


def test_run_now_without_redis_is_accepted_and_says_why_it_waits(api: APIClient, schedule: Schedule) -> None:
    response = api.post(NOW)
    assert response.status_code == 202, response.content
    body = response.json()
    assert response["Location"] == f"{RUNS}/{body['job_run_id']}"
    assert (body["status"], body["trigger"], body["waiting_for"]) == ("queued", "manual", "a slot")
    assert "Redis" in body["note"]
    assert body["schedule"] == "nightly"
    assert "192.0.2.7" not in body["requested_by"]
    shown = api.get(response["Location"]).json()
    assert shown == {name: value for name, value in body.items() if name != "note"}
    entry = AuditEntry.objects.get(action="run.now")
    assert (entry.actor_kind, entry.address, entry.object_name) == ("api_key", "192.0.2.7", body["job_run_id"])


def test_run_now_runs_a_disabled_schedule_too(api: APIClient, schedule: Schedule) -> None:
    schedule_disable(schedule=schedule, actor=ACTOR)
    assert api.post(NOW, {}, format="json").status_code == 202


@pytest.mark.django_db(transaction=True)
def test_run_now_with_redis_is_admitted_and_published(real_redis: Redis, api: APIClient, schedule: Schedule) -> None:
    first = api.post(NOW).json()
    assert (first["waiting_for"], first["note"]) == ("a worker", "")
    assert real_redis.llen("scans") == 1
    second = api.post(NOW).json()
    assert second["waiting_for"] == "a slot"
    assert "free slot" in second["note"]
    assert api.post(f"{RUNS}/{first['job_run_id']}/cancel").json()["status"] == "cancelled"
    again = api.post(f"{RUNS}/{first['job_run_id']}/retry").json()
    assert (again["waiting_for"], again["note"], again["trigger"]) == ("a worker", "", "retry")
    assert real_redis.llen("scans") == 2


def test_retry_names_the_run_it_repeats(api: APIClient, run: Run) -> None:
    finished(run, "failed", error_code="told_to", error_message="It was told to fail.")
    response = api.post(f"{RUNS}/{run.job_run_id}/retry")
    assert response.status_code == 202
    body = response.json()
    assert response["Location"] == f"{RUNS}/{body['job_run_id']}"
    assert (body["retry_of"], body["trigger"], body["attempt"]) == (run.job_run_id, "retry", 1)
    assert AuditEntry.objects.get(action="run.retry").address == "192.0.2.7"


def test_retry_keeps_the_payload_of_its_time(api: APIClient, run: Run, schedule: Schedule) -> None:
    finished(run)
    schedule_update(schedule=schedule, actor=ACTOR, payload={"trace": "/elsewhere"})
    again = api.post(f"{RUNS}/{run.job_run_id}/retry").json()
    assert Run.objects.get(job_run_id=again["job_run_id"]).payload == run.payload


@pytest.mark.parametrize("state", ["queued", "running"])
def test_retry_of_what_is_not_over_is_a_conflict(api: APIClient, run: Run, state: str) -> None:
    if state == "running":
        started(run)
    response = api.post(f"{RUNS}/{run.job_run_id}/retry")
    assert (response.status_code, response["Content-Type"]) == (409, "application/problem+json")
    assert response.json()["code"] == "conflict"
    assert Run.objects.count() == 1


def test_cancel_ends_what_waits_at_once(api: APIClient, run: Run) -> None:
    response = api.post(f"{RUNS}/{run.job_run_id}/cancel")
    body = response.json()
    assert (response.status_code, body["status"], body["waiting_for"]) == (200, "cancelled", None)
    assert body["finished_at"] is not None
    entry = AuditEntry.objects.get(action="run.cancel")
    assert (entry.actor_kind, entry.address) == ("api_key", "192.0.2.7")


def test_cancel_asks_what_runs_to_end(api: APIClient, run: Run) -> None:
    started(run)
    response = api.post(f"{RUNS}/{run.job_run_id}/cancel")
    body = response.json()
    assert (response.status_code, body["status"]) == (202, "running")
    assert body["cancel_requested_at"] is not None
    assert api.post(f"{RUNS}/{run.job_run_id}/cancel").status_code == 202


def test_cancel_of_what_is_over_is_a_conflict(api: APIClient, run: Run) -> None:
    finished(run)
    response = api.post(f"{RUNS}/{run.job_run_id}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert not AuditEntry.objects.filter(action="run.cancel").exists()


def test_a_finished_run_shows_what_came_of_it(api: APIClient, run: Run) -> None:
    result = Result(summary="traced", details={"text": "x"}, session_id="s-1", message_id="m-1")
    finished(run, result=result)
    shown = api.get(f"{RUNS}/{run.job_run_id}").json()
    assert (shown["status"], shown["attempt"], shown["worker"]) == ("success", 1, "w1")
    assert (shown["result_summary"], shown["result"]) == ("traced", {"text": "x"})
    assert (shown["session_id"], shown["message_id"]) == ("s-1", "m-1")
    assert shown["duration_ms"] >= 2000
    assert None not in (shown["started_at"], shown["finished_at"])


def test_the_three_waits_are_told_apart(api: APIClient, run: Run) -> None:
    def wait() -> str | None:
        waiting: str | None = api.get(f"{RUNS}/{run.job_run_id}").json()["waiting_for"]
        return waiting

    assert wait() == "a slot"
    Run.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert wait() == "a time"
    Run.objects.update(next_attempt_at=timezone.now())
    run.admission_token = lifecycle.runs_admit([run], now=timezone.now())[run.pk]
    assert wait() == "a worker"


def test_the_list_is_newest_first_and_filters(api: APIClient, new_schedule: Any, agent: Any) -> None:
    first = run_now(schedule=new_schedule("one", agent=agent), actor=ACTOR).run
    second = run_now(schedule=new_schedule("two"), actor=ACTOR).run
    third = run_now(schedule=Schedule.objects.get(name="two"), actor=ACTOR).run
    run_cancel(run=second, actor=ACTOR)

    def listed(query: str = "") -> list[str]:
        return [each["job_run_id"] for each in api.get(f"{RUNS}?{query}").json()["results"]]

    names = {run.job_run_id: name for run, name in ((first, "first"), (second, "second"), (third, "third"))}
    assert [names[each] for each in listed()] == ["third", "second", "first"]
    assert [names[each] for each in listed("status=cancelled")] == ["second"]
    assert [names[each] for each in listed("status=cancelled&status=queued&schedule=two")] == ["third", "second"]
    assert [names[each] for each in listed("schedule=one")] == ["first"]
    assert [names[each] for each in listed("agent=night")] == ["first"]
    assert listed("trigger=schedule") == []
    assert len(listed("trigger=manual")) == 3


def test_the_runs_of_a_deleted_schedule_are_found_by_its_name(api: APIClient, run: Run, schedule: Schedule) -> None:
    schedule_delete(schedule=schedule, actor=ACTOR)
    found = api.get(f"{RUNS}?schedule=nightly").json()["results"]
    assert [each["job_run_id"] for each in found] == [run.job_run_id]


def test_the_runs_of_a_renamed_schedule_follow_it(api: APIClient, run: Run, schedule: Schedule) -> None:
    schedule_update(schedule=schedule, actor=ACTOR, name="weekly")
    [found] = api.get(f"{RUNS}?schedule=weekly").json()["results"]
    assert found["schedule"] == "weekly"
    assert api.get(f"{RUNS}?schedule=nightly").json()["results"] == []


@pytest.mark.parametrize("query", ["status=done", "trigger=cron", "schedule=%00"])
def test_a_wrong_filter_is_named(api: APIClient, query: str) -> None:
    response = api.get(f"{RUNS}?{query}")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [query.partition("=")[0]]


def test_the_runs_of_one_schedule(api: APIClient, run: Run, new_schedule: Any) -> None:
    run_now(schedule=new_schedule("other"), actor=ACTOR)
    page = api.get("/api/v1/schedules/nightly/runs").json()
    assert [each["job_run_id"] for each in page["results"]] == [run.job_run_id]
    assert api.get("/api/v1/schedules/nowhere/runs").status_code == 404


@pytest.mark.parametrize("path", [RUNS, "/api/v1/schedules/nightly/runs"])
def test_lists_cost_the_same_for_many(
    api: APIClient, schedule: Schedule, django_assert_max_num_queries: Any, agent: Any, path: str
) -> None:
    schedule_update(schedule=schedule, actor=ACTOR, agent=agent)
    run = run_now(schedule=schedule, actor=ACTOR).run
    for number in range(10):
        Run.objects.filter(pk=run.pk).update(retry_of=run)
        again = Run.objects.get(pk=run.pk)
        again.pk, again.job_run_id = None, f"copy-{number}"
        again.save()
    with django_assert_max_num_queries(4):  # the key, its use, the schedule, the page
        assert len(api.get(path).json()["results"]) == 11


def test_the_cursor_walks_through_all(api: APIClient, schedule: Schedule) -> None:
    made = [run_now(schedule=schedule, actor=ACTOR).run.job_run_id for _ in range(5)]
    page = api.get(f"{RUNS}?page_size=2").json()
    seen = [each["job_run_id"] for each in page["results"]]
    run_now(schedule=schedule, actor=ACTOR)
    while page["next"]:
        page = api.get(page["next"]).json()
        seen += [each["job_run_id"] for each in page["results"]]
    assert seen == made[::-1]


def test_the_log_goes_on_where_the_reader_left_off(api: APIClient, run: Run) -> None:
    written(run, 0, "one", "two")
    page = api.get(f"{RUNS}/{run.job_run_id}/log").json()
    assert [line["text"] for line in page["lines"]] == ["one", "two"]
    assert page["lines"][0] == {"at": "2027-01-15T08:00:00Z", "attempt": 1, "stream": "stdout", "text": "one"}
    assert page["complete"] is False
    waiting = api.get(f"{RUNS}/{run.job_run_id}/log", {"after": page["next"]}).json()
    assert (waiting["lines"], waiting["next"], waiting["complete"]) == ([], page["next"], False)
    written(run, 1, "three")
    finished(run)
    rest = api.get(f"{RUNS}/{run.job_run_id}/log", {"after": page["next"]}).json()
    assert [line["text"] for line in rest["lines"]] == ["three"]
    end = api.get(f"{RUNS}/{run.job_run_id}/log", {"after": rest["next"]}).json()
    assert (end["lines"], end["complete"]) == ([], True)


@pytest.mark.parametrize(("query", "accept"), [("?format=text", "*/*"), ("", "text/plain")])
def test_the_log_as_text(api: APIClient, run: Run, query: str, accept: str) -> None:
    written(run, 0, "[S3] Backup completed", "备份完成")
    written(run, 1, "last")
    response = api.get(f"{RUNS}/{run.job_run_id}/log{query}", HTTP_ACCEPT=accept)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode() == "[S3] Backup completed\n备份完成\nlast\n"


def test_a_refusal_is_a_problem_even_where_text_was_asked_for(api: APIClient) -> None:
    response = api.get(f"{RUNS}/m1-x/log?format=text")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response.json()["code"] == "not_found"


def test_a_representation_that_is_not_there_is_refused(api: APIClient, run: Run) -> None:
    response = api.get(f"{RUNS}/{run.job_run_id}", HTTP_ACCEPT="text/html")
    assert (response.status_code, response["Content-Type"]) == (406, "application/problem+json")


def test_events_tell_the_life_of_a_run_oldest_first(api: APIClient, run: Run) -> None:
    finished(run)
    events = api.get(f"{RUNS}/{run.job_run_id}/events").json()["results"]
    assert [each["kind"] for each in events] == ["planned", "admitted", "started", "success"]
    assert events[0]["cause"] == "run now by test"
    assert events[0].keys() == {"at", "kind", "status", "attempt", "cause", "actor"}
