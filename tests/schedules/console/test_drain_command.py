"""`manage.py drain`: what it says. That workers obey is in tests/acceptance/test_drain.py."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from schedules.engine.clock import database_now
from schedules.models import WorkerProcess


def worker(name: str, **values: Any) -> WorkerProcess:
    now = database_now()
    return WorkerProcess.objects.create(
        name=name, **{"slots": 2, "queues": ["scans"], "started_at": now, "seen_at": now} | values
    )


def drains() -> set[str]:
    return set(WorkerProcess.objects.filter(drains_since__isnull=False).values_list("name", flat=True))


def test_all_workers_drain_unless_some_are_named(transactional_db: None, manage: Any) -> None:
    worker("one@host", at_work=2)
    worker("two@host")
    done = manage("drain", "one")
    assert done.code == 0
    assert "Draining one@host (2 at work)." in done.out
    assert "when a worker's DRAIN_SECONDS are over" in done.out
    assert drains() == {"one@host"}
    assert manage("drain").code == 0
    assert drains() == {"one@host", "two@host"}


def test_told_again_it_keeps_the_first_instant(transactional_db: None, manage: Any) -> None:
    worker("one@host", drains_since=database_now() - timedelta(seconds=40))
    manage("drain")
    assert WorkerProcess.objects.get().drains_since < database_now() - timedelta(seconds=30)


def test_without_workers_it_says_so(transactional_db: None, manage: Any) -> None:
    worker("old@host", seen_at=database_now() - timedelta(hours=1))
    done = manage("drain")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "No worker is alive" in done.err


def test_an_unknown_worker_lists_the_known_ones(transactional_db: None, manage: Any) -> None:
    worker("one@host")
    done = manage("drain", "onne@host")
    assert done.code == 1
    assert "There is no worker 'onne@host'" in done.err
    assert "Alive are: one@host" in done.err
    assert drains() == set(), "nobody drains by mistake"


def test_it_waits_and_says_how_far_they_are(
    transactional_db: None, manage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schedules.management.commands import drain

    worker("one@host", at_work=2)
    steps = iter([{"at_work": 1}, {"at_work": 0}, None])

    def sleep(_: float) -> None:
        step = next(steps)
        rows = WorkerProcess.objects.filter(name="one@host")
        rows.delete() if step is None else rows.update(**step)

    monkeypatch.setattr(drain, "time", SimpleNamespace(sleep=sleep))
    done = manage("drain", "--wait")
    assert done.code == 0
    assert "1 to go: one@host (1 at work)" in done.out
    assert "They have ended. Start them again" in done.out


def test_one_that_dies_meanwhile_is_not_waited_for(transactional_db: None, manage: Any) -> None:
    worker("one@host", seen_at=database_now() - timedelta(seconds=29.8), at_work=1)
    done = manage("drain", "--wait")
    assert done.code == 1
    assert "one@host does not report any more" in done.err
