"""Which indexes admission's statements use when a flood comes after a quiet hour.

The statistics of then say that nothing waits, so every partial index looks empty, and one as good as another. In a
benchmark two statements took the index of all that is active, and each look read the whole flood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.db import connection

from schedules.engine import candidates_sql as sql
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.engine.statements import _stored, _written
from schedules.models import Run, Schedule

Make = Callable[..., Schedule]
COUNT = 2000
WAITING = {"run_waiting", "run_waiting_urgent"}
ALONE, HELD, OUT = "run_exclusive_waiting", "run_holding", "run_admitted"


def fill(schedule: Schedule, prefix: str, **changes: object) -> None:
    now = database_now()
    runs = [new_run(schedule, now) for _ in range(COUNT)]
    for number, run in enumerate(runs):
        run.job_run_id, run.trigger = f"{prefix}-{number}", Run.Trigger.MANUAL
    Run.objects.bulk_create(runs)
    if changes:
        Run.objects.filter(job_run_id__startswith=prefix).update(finished_at=now, **changes)


@pytest.fixture
def flood(make_schedule: Make) -> Schedule:
    schedule = make_schedule()
    fill(schedule, "old", status="success")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE schedules_run" if connection.vendor == "postgresql" else "ANALYZE")
    fill(schedule, "new")
    return schedule


def explained(text: str, parameters: list[Any]) -> str:
    """The plan; on PostgreSQL the one for all values, as the engine has it."""
    values = [_stored(value) for value in parameters]
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(f"EXPLAIN QUERY PLAN {_written(text, 'sqlite')}", values)
        else:
            numbers = count(1)
            numbered = re.sub("%s", lambda _: f"${next(numbers)}", _written(text, "postgresql"))
            cursor.execute("SET plan_cache_mode = force_generic_plan")
            cursor.execute(f"PREPARE looked_at AS {numbered.replace('%%', '%')}")
            places = ", ".join(["%s"] * len(values))
            cursor.execute(f"EXPLAIN EXECUTE looked_at{f' ({places})' if values else ''}", values)
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        if connection.vendor == "postgresql":
            cursor.execute("DEALLOCATE looked_at")
            cursor.execute("RESET plan_cache_mode")
    return plan


def indexes(text: str, parameters: list[Any]) -> set[str]:
    """Those by which the statement reads runs; "all" for a scan of the table."""
    plan = explained(text, parameters)
    if connection.vendor == "postgresql":
        named = re.findall(r"using (\w+) on schedules_run\b|Bitmap Index Scan on (run_\w+)", plan)
        found = {one or other for one, other in named}
        return found | ({"all"} if "Seq Scan on schedules_run " in plan else set())
    found = set(re.findall(r"USING (?:COVERING )?INDEX (run_\w+)", plan))
    return found | ({"all"} if re.search(r"SCAN schedules_run(?! USING)", plan) else set())


def test_the_outlook_reads_no_more_than_it_has_to(flood: Schedule) -> None:
    used = indexes(sql.OUTLOOK.replace("{counted}", sql.ALWAYS), [database_now()])
    assert used <= {*WAITING, HELD, OUT}
    assert used >= {HELD}


def test_candidates_come_from_their_own_indexes(flood: Schedule) -> None:
    known, organisation = [database_now(), ",,"], flood.organisation_id
    if connection.vendor == "postgresql":
        used = indexes(sql.LANES_OF_ALL.replace("{half}", "10"), [*known, [organisation]])
    else:
        used = indexes(sql.LANE_OF_ONE.replace("{half}", "10"), [*known, organisation, organisation])
        used |= indexes(sql.SPECIAL.replace("{half}", "10"), known)
    assert used == {*WAITING, ALONE, HELD}


def test_who_holds_slots_is_read_from_their_own_index(flood: Schedule) -> None:
    assert indexes(sql.ALL_HELD, []) == {HELD}


def test_what_is_active_of_a_schedule_is_read_from_its_own_index(flood: Schedule) -> None:
    assert "run_active" in Run.objects.active().filter(schedule=flood).explain()
