"""A worker that ends: what it can't finish in time goes back to the queue, as neither lost nor failed."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from django.db import connection

from schedules.engine import admission, draining, execution, slots
from schedules.engine.candidates import outlook
from schedules.engine.claims import Claim
from schedules.engine.clock import database_now
from schedules.engine.workers import Reporter
from schedules.models import Run, Schedule, WorkerProcess
from tests.schedules.engine.test_execution import asked, happened

Make = Callable[..., Schedule]


@pytest.fixture(autouse=True)
def _not_draining() -> Iterator[None]:
    draining.reset()
    yield
    draining.reset()


@pytest.fixture(autouse=True)
def _close_the_keeper(transactional_db: None) -> Iterator[None]:
    """Its threads outlive the test, and on PostgreSQL their sessions would keep the database from being dropped."""
    yield
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            mine = "datname = current_database() AND pid <> pg_backend_pid()"
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")  # noqa: S608


@pytest.fixture
def at_once(settings: Any) -> None:
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, drain_seconds=0.0)


def drained(schedule: Schedule, published: list[Any]) -> Run:
    """Its run, whose worker is told to end while it is at work."""
    slots.rebuild()
    run = asked(schedule)
    admission.admit_waiting(database_now())
    draining.begin()
    run_id, attempt, token = published.pop(0)
    execution.execute(Claim(run=run_id, attempt=attempt, token=token))
    run.refresh_from_db()
    return run


def test_what_cannot_finish_goes_back_and_costs_no_retry(
    make_schedule: Make, published: list[Any], tmp_path: Path, redis: redis_client.Redis, at_once: None
) -> None:
    trace = tmp_path / "trace"
    run = drained(make_schedule(payload={"trace": str(trace), "seconds": 60}), published)
    assert (run.status, run.attempt, run.failed_attempts, run.lost_attempts) == ("queued", 2, 0, 0)
    assert run.handle == {}
    assert happened(trace) == ["start", "reap"]
    assert [event.cause for event in run.events.filter(kind="returned")] == ["its worker was drained"]
    assert len(published) == 1, "it is admitted again at once"
    assert slots.held().popitem()[1] == {f"{run.job_run_id}:2"}
    draining.reset()
    run_id, attempt, token = published[0]
    Run.objects.filter(pk=run.pk).update(payload={"trace": str(trace)})
    execution.execute(Claim(run=run_id, attempt=attempt, token=token))
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("success", 2)


def test_what_must_not_be_repeated_fails_with_the_reason(
    make_schedule: Make, published: list[Any], tmp_path: Path, redis: redis_client.Redis, at_once: None
) -> None:
    payload = {"trace": str(tmp_path / "trace"), "seconds": 60}
    run = drained(make_schedule(executor="test.once", payload=payload), published)
    assert (run.status, run.error_code) == ("failed", "drained")
    assert f"manage.py job retry {run.job_run_id}" in run.error_message


def test_what_finishes_in_time_is_left_alone(
    make_schedule: Make, published: list[Any], tmp_path: Path, redis: redis_client.Redis
) -> None:
    run = drained(make_schedule(payload={"trace": str(tmp_path / "trace"), "seconds": 1.5}), published)
    assert run.status == "success"


def test_the_instant_is_shared_with_children_that_were_forked_before(settings: Any) -> None:
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, drain_seconds=60.0)
    child = os.fork()
    if child == 0:
        for _ in range(200):
            if draining.is_draining():
                os._exit(7)
            time.sleep(0.02)
        os._exit(1)
    draining.begin()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert not draining.is_over()


def test_a_worker_that_drains_counts_for_no_queue(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: told.append(number))
    reporter = Reporter(name="one@host", queues=["scans"], slots=3)
    reporter._look(first=True)
    assert admission.room_of(outlook(database_now()))["scans"] == 12
    WorkerProcess.objects.update(drains_since=database_now())
    reporter._look(first=False)
    assert len(told) == 1, "it ends as if it had been sent SIGTERM"
    draining.begin()
    reporter._look(first=False)
    row = WorkerProcess.objects.get()
    assert row.queues == []
    assert row.drains_since


def test_a_worker_that_starts_under_the_name_of_a_drained_one_works(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("it has just started"))
    now = database_now()
    WorkerProcess.objects.create(name="one@host", slots=1, started_at=now, seen_at=now, drains_since=now)
    Reporter(name="one@host", queues=["scans"], slots=3)._look(first=True)
    assert WorkerProcess.objects.get().drains_since is None
