"""Pruning runs: by age and count, and the ledger says what is no longer kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.errors import InvalidInput
from schedules.engine.planning import plan_due
from schedules.models import Run, RunEvent, RunLogChunk, Schedule, SkipSpan
from schedules.services.backfills import backfill_plan
from schedules.services.housekeeping import runs_prune
from schedules.services.ledger import entry_of, ledger_audit
from schedules.services.why import why
from tests.schedules.housekeeping.conftest import NOW, START, budget, end, manual, terms

Lived = Callable[..., Schedule]
FIRST = START.replace(minute=0) + timedelta(hours=1)


def pruned(schedule: Schedule) -> SkipSpan:
    return SkipSpan.objects.get(schedule=schedule, reason="pruned")


def check(schedule: Schedule) -> int:
    schedule.refresh_from_db()
    audit = ledger_audit(schedule, after=START - timedelta(days=1), through=NOW)
    assert audit.is_clean, audit
    return audit.expected


def test_old_runs_go_with_their_events_and_logs_and_the_newest_stay(lived: Lived) -> None:
    schedule = lived(50)
    for run in Run.objects.all():
        RunLogChunk.objects.create(run=run, attempt=1, number=0, lines=[[0, "stdout", "x"]])
    removed = runs_prune(terms(), budget())
    assert removed == {"runs": 47, "fires": 47}
    assert Run.objects.count() == 3
    assert RunLogChunk.objects.count() == 3
    assert not RunEvent.objects.exclude(run__in=Run.objects.all()).exists()
    assert (pruned(schedule).first_fire_at, pruned(schedule).count) == (FIRST, 47)
    assert check(schedule) == 50
    assert runs_prune(terms(), budget()) == {"runs": 0, "fires": 0}, "nothing is left to do"


def test_young_runs_stay_whatever_their_number_up_to_the_most(lived: Lived) -> None:
    schedule = lived(50)
    assert runs_prune(terms(days=3000), budget())["runs"] == 0
    assert runs_prune(terms(days=3000, most=20), budget())["runs"] == 30
    assert pruned(schedule).count == 30
    check(schedule)


def test_each_step_leaves_a_ledger_in_order(lived: Lived) -> None:
    from schedules.services.housekeeping.runs import candidates, prune_step

    schedule = lived(50)
    for step in range(1, 5):
        assert len(prune_step(list(candidates(terms(), budget())), terms()).runs) == 10
        assert pruned(schedule).count == 10 * step
        check(schedule)


def test_skip_spans_go_with_the_runs_around_them(lived: Lived) -> None:
    schedule = lived(10)
    plan_due(FIRST + timedelta(hours=30))
    end(Run.objects.active())
    for hour in range(31, 40):
        plan_due(FIRST + timedelta(hours=hour, seconds=1))
        end(Run.objects.active())
    assert SkipSpan.objects.filter(schedule=schedule, reason="misfire").exists()
    removed = runs_prune(terms(batch=4), budget())
    assert removed["fires"] == 37
    assert list(SkipSpan.objects.values_list("reason", "count")) == [("pruned", 37)]
    assert check(schedule) == 40


def test_what_is_active_stays_and_so_does_what_came_after_it(lived: Lived) -> None:
    schedule = lived(20, overlap="queue_all")
    stuck = Run.objects.order_by("fire_at")[5]
    Run.objects.filter(pk=stuck.pk).update(status="queued", finished_at=None, next_attempt_at=stuck.created_at)
    assert runs_prune(terms(), budget())["runs"] == 5
    assert pruned(schedule).last_fire_at == FIRST + timedelta(hours=4)
    assert check(schedule) == 20


def test_runs_by_hand_go_by_age_and_are_no_part_of_the_ledger(lived: Lived) -> None:
    schedule = lived(5)
    for hour in range(6):
        manual(schedule, START + timedelta(minutes=hour))
    waiting = manual(schedule, START - timedelta(days=3), status="queued")
    assert runs_prune(terms(), budget()) == {"runs": 8, "fires": 2}
    assert Run.objects.filter(pk=waiting.pk).exists(), "never what is not over"
    assert Run.objects.count() == 4


def test_a_run_that_took_long_is_as_old_as_its_end(lived: Lived) -> None:
    schedule = lived(5)
    oldest = Run.objects.filter(schedule=schedule).order_by("fire_at")[0]
    Run.objects.filter(pk=oldest.pk).update(finished_at=NOW - timedelta(days=1))
    assert runs_prune(terms(), budget())["runs"] == 0


def test_runs_of_deleted_schedules_go_by_age(lived: Lived) -> None:
    from schedules.services.schedules import schedule_delete
    from tests.schedules.engine.conftest import ACTOR

    schedule_delete(schedule=lived(5), actor=ACTOR)
    young = Run.objects.order_by("-pk")[0]
    Run.objects.filter(pk=young.pk).update(finished_at=NOW - timedelta(days=1))
    assert runs_prune(terms(), budget()) == {"runs": 4, "fires": 0}
    assert list(Run.objects.all()) == [young]


def test_the_failures_that_pause_a_schedule_stay(lived: Lived) -> None:
    schedule = lived(4, pause_after_failures=3)
    Schedule.objects.filter(pk=schedule.pk).update(resumed_at=START)
    end(Run.objects.filter(schedule=schedule), status="failed")
    for minute in range(5):
        manual(schedule, FIRST + timedelta(days=1, minutes=minute), status="cancelled")
    runs_prune(terms(keep=1), budget())
    assert Run.objects.filter(schedule=schedule, status="failed").count() == 3


def test_a_pruned_fire_is_never_planned_again(lived: Lived) -> None:
    schedule = lived(50)
    runs_prune(terms(), budget())
    plan_due(FIRST + timedelta(hours=50, seconds=1))
    keys = set(Run.objects.values_list("fire_at", flat=True))
    assert min(filter(None, keys)) == FIRST + timedelta(hours=47)
    assert check(schedule) == 51


def test_who_asks_is_told_that_it_is_no_longer_kept(lived: Lived) -> None:
    schedule = lived(50)
    runs_prune(terms(), budget())
    answer = why(schedule, at=FIRST, now=NOW)
    assert answer.reason == "pruned"
    assert "is no longer kept" in answer.headline
    assert "did not run" not in answer.headline
    standing = " ".join(why(schedule, at=None, now=NOW).details)
    assert "47 fires, what became of them is no longer kept" in standing
    entry = entry_of(schedule, FIRST)
    assert entry
    assert entry.reason == "pruned"


def test_a_backfill_does_not_repeat_what_may_have_run(lived: Lived) -> None:
    schedule = lived(50)
    runs_prune(terms(), budget())
    whole = {"schedule": schedule, "begin": FIRST, "end": FIRST + timedelta(hours=60)}
    with pytest.raises(InvalidInput, match="no longer kept") as refusal:
        backfill_plan(**whole)
    assert "--only all" in refusal.value.message
    assert len(backfill_plan(**whole, only="all").fires) == 61
    later = whole | {"begin": FIRST + timedelta(hours=47)}
    assert len(backfill_plan(**later).fires) == 11


def test_a_retry_outlives_the_run_that_it_repeats(lived: Lived) -> None:
    schedule = lived(10)
    first = Run.objects.order_by("fire_at")[0]
    again = manual(schedule, NOW - timedelta(days=1))
    Run.objects.filter(pk=again.pk).update(retry_of=first)
    runs_prune(terms(), budget())
    again.refresh_from_db()
    assert again.retry_of is None


def test_many_logs_make_a_batch_small(lived: Lived) -> None:
    from schedules.services.housekeeping.runs import candidates, prune_step

    lived(20)
    Run.objects.update(log_bytes=5_000_000)
    step = prune_step(list(candidates(terms(), budget())), terms())
    assert (len(step.runs), len(step.left)) == (4, 1)
    assert runs_prune(terms(), budget())["runs"] == 13


def test_several_schedules_share_a_batch(lived: Lived) -> None:
    from schedules.services.housekeeping.runs import candidates, prune_step

    jobs = [lived(5, name) for name in ("one", "two", "three")]
    found = list(candidates(terms(batch=3), budget()))
    step = prune_step(found, terms(batch=3))
    assert (len(step.runs), [each.pk for each in step.left]) == (3, [jobs[1].pk, jobs[2].pk])
    assert [check(job) for job in jobs] == [5, 5, 5]
    assert runs_prune(terms(batch=3), budget()) == {"runs": 3, "fires": 3}
    assert [check(job) for job in jobs] == [5, 5, 5]


def test_it_ends_with_its_time(lived: Lived) -> None:
    lived(50)
    assert runs_prune(terms(), budget(minutes=0)) == {"runs": 0, "fires": 0}


def test_a_schedule_that_somebody_edits_waits_for_the_next_time(lived: Lived) -> None:
    import threading

    from django.db import connection, transaction

    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer")
    schedule, held, done = lived(20), threading.Event(), threading.Event()

    def edit() -> None:
        with transaction.atomic():
            Schedule.objects.select_for_update().get(pk=schedule.pk)
            held.set()
            done.wait(20)
        connection.close()

    thread = threading.Thread(target=edit)
    thread.start()
    held.wait(20)
    try:
        assert runs_prune(terms(), budget())["runs"] == 0
    finally:
        done.set()
        thread.join()
    assert runs_prune(terms(), budget())["runs"] == 17


@pytest.mark.parametrize("seed", range(6))
def test_random_pasts_stay_in_order(lived: Lived, seed: int, clock: Any) -> None:
    import random

    from schedules.services.schedules import schedule_disable, schedule_enable, schedule_update
    from tests.schedules.engine.conftest import ACTOR

    dice, schedule = random.Random(seed), lived(5)
    now = FIRST + timedelta(hours=5)
    for _ in range(40):
        now = clock.is_at(now + timedelta(hours=dice.choice([1, 1, 1, 5, 40]) * dice.random()))
        plan_due(now)
        if dice.random() < 0.8:
            end(Run.objects.active())
        what = dice.randrange(6)
        if what == 0:
            schedule_disable(schedule=schedule, actor=ACTOR, reason="dice")
        elif what in (1, 2):
            schedule_enable(schedule=schedule, actor=ACTOR)
        elif what == 3:
            schedule_update(schedule=schedule, actor=ACTOR, expression=dice.choice(["0 * * * *", "*/20 * * * *"]))
        elif what == 4:
            runs_prune(terms(now=now, days=1, keep=dice.choice([1, 5]), batch=dice.choice([1, 3, 50])), budget())
        check(schedule)
    end(Run.objects.active())
    runs_prune(terms(now=now + timedelta(days=3), days=1, keep=1), budget())
    check(schedule)
    assert SkipSpan.objects.filter(reason="pruned").exists()
