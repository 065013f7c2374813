"""Pruning what stands alone: logs, results, the engine's events; and the tasks that people edit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django_celery_results.models import TaskResult

from config.celery import app
from fleet.errors import InvalidInput
from schedules import tasks
from schedules.engine.clock import database_now
from schedules.models import EngineEvent, Run, RunLogChunk, Schedule
from schedules.services.housekeeping import engine_events_prune, logs_prune, results_prune
from schedules.services.logs import log_is_kept, log_lines, log_page
from tests.schedules.housekeeping.conftest import budget, end, manual

Make = Callable[..., Schedule]


@pytest.fixture
def job(make_schedule: Make) -> Schedule:
    return make_schedule("job")


def logged(job: Schedule, *, days: float, status: str = "success", pieces: int = 3) -> Run:
    run = manual(job, database_now() - timedelta(days=days), status=status)
    for number in range(pieces):
        RunLogChunk.objects.create(run=run, attempt=1, number=number, lines=[[0, "stdout", "x"]])
    Run.objects.filter(pk=run.pk).update(log_bytes=2 * pieces)
    run.refresh_from_db()
    return run


def test_old_logs_go_and_their_runs_stay(job: Schedule) -> None:
    old, active, young = logged(job, days=40), logged(job, days=39, status="queued"), logged(job, days=5)
    before = database_now() - timedelta(days=30)
    assert logs_prune(before=before, budget=budget(), batch=2) == {"log_pieces": 3, "runs": 2}
    assert set(RunLogChunk.objects.values_list("run_id", flat=True)) == {active.pk, young.pk}
    assert not log_is_kept(old)
    assert log_is_kept(young)
    assert [line.text for line in log_lines(old)] == ["The log of this run is no longer kept (housekeeping)."]
    assert log_page(old, after=log_page(old).cursor).lines == []
    assert Run.objects.count() == 3


def test_a_run_that_wrote_nothing_has_its_log(job: Schedule) -> None:
    assert log_is_kept(logged(job, days=40, pieces=0))


def test_results_go_by_age(transactional_db: None) -> None:
    for number in range(5):
        TaskResult.objects.create(task_id=str(number))
    TaskResult.objects.filter(task_id__in="012").update(date_done=database_now() - timedelta(days=40))
    before = database_now() - timedelta(days=30)
    assert results_prune(before=before, budget=budget(), batch=2) == {"results": 3}
    assert TaskResult.objects.count() == 2


def test_engine_events_go_by_age_and_count(transactional_db: None) -> None:
    now = database_now()
    for hour in range(30):
        EngineEvent.objects.create(at=now - timedelta(hours=30 - hour), kind="leader", detail=str(hour))
    removed = engine_events_prune(before=now - timedelta(hours=24), most=10, budget=budget(), batch=4)
    assert removed == {"events": 20}
    assert [event.detail for event in EngineEvent.objects.all()] == [str(hour) for hour in range(29, 19, -1)]


def test_each_entry_names_a_task_and_what_it_takes(job: Schedule) -> None:
    """As the beat installs them and a worker meets them."""
    logged(job, days=400)
    pruning = [entry for entry in app.conf.beat_schedule.values() if "prune" in entry["task"]]
    assert len(pruning) == 5
    for entry in pruning:
        removed = app.tasks[entry["task"]](**entry.get("kwargs", {}))
        assert set(removed) == {"removed"}


@pytest.mark.parametrize(
    ("task", "kwargs", "named"),
    [
        (tasks.prune_runs, {"days": -3}, "days must be a whole number from 1 to 36500, not -3"),
        (tasks.prune_runs, {"keep": 0}, "keep must be"),
        (tasks.prune_runs, {"keep": 10, "most": 5}, "most must be at least keep"),
        (tasks.prune_runs, {"days": "90"}, "days must be a whole number from 1 to 36500, not '90'"),
        (tasks.prune_logs, {"days": 10**9}, "days must be"),
        (tasks.prune_results, {"days": True}, "days must be"),
        (tasks.prune_engine_events, {"most": 1.5}, "most must be"),
    ],
)
def test_a_slip_of_the_finger_removes_nothing(job: Schedule, task: Any, kwargs: dict[str, Any], named: str) -> None:
    run = logged(job, days=4000)
    with pytest.raises(InvalidInput, match=named):
        task(**kwargs)
    assert log_is_kept(run)


def test_the_default_keeps_what_people_still_look_at(job: Schedule) -> None:
    logged(job, days=20)
    assert tasks.prune_runs() == {"removed": {"runs": 0, "fires": 0}}
    assert tasks.prune_logs() == {"removed": {"log_pieces": 0, "runs": 0}}


def test_running_ones_are_never_pruned(job: Schedule) -> None:
    for days in range(100, 130):
        logged(job, days=days, pieces=0)
    end(Run.objects.all()[:0])
    tasks.prune_runs(days=1, keep=1, most=1)
    assert Run.objects.count() == 1
