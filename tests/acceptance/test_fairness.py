"""Ten thousand runs of one organisation wait; another one's start as if they were not there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

import pytest

from tests.acceptance.test_ending import a_watch, shell
from tests.processes import Watch

SET_UP = """
from fleet.actors import Actor
from fleet.services.organisations import organisation_create
from schedules.models import *
from schedules.services.schedules import schedule_create
actor = Actor.system("test")
for slug, limit, name, expression, seconds in (("loud", 4, "flood", "@manually", 0.3),
                                               ("quiet", 10, "steady", "* * * * * *", 0)):
    organisation = organisation_create(slug=slug, name=slug, actor=actor)
    type(organisation).objects.filter(pk=organisation.pk).update(max_concurrent_runs=limit)
    schedule_create(organisation=organisation, actor=actor, display_name=name, expression=expression,
        executor="test.trace", payload={{"trace": {trace!r}, "seconds": seconds}}, overlap="queue_all",
        max_concurrent_runs=1000)
"""
FLOOD = """
from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.models import *
job, now, runs = Schedule.objects.get(name="flood"), database_now(), []
for number in range(10_000):
    run = new_run(job, now)
    run.job_run_id, run.trigger, run.priority = f"flood-{number}", "manual", 9
    runs.append(run)
Run.objects.bulk_create(runs, batch_size=1000)
"""
# Seconds from each fire to its start, of the fires since an instant; how many of the flood are done, the most at once.
STARTS = """
import json
from datetime import datetime
from schedules.models import *
fires = Run.objects.filter(schedule__name="steady", fire_at__gt=datetime.fromisoformat({since!r}))
late = [(run.started_at - run.fire_at).total_seconds() for run in fires if run.started_at]
print(json.dumps([late, Run.objects.filter(schedule__name="flood", status="success").count()]))
"""
NOW = "from schedules.engine.clock import database_now; print(database_now().isoformat())"
LOOK_SECONDS = 12


def starts(watch: Watch) -> tuple[list[float], int]:
    since = shell(watch, NOW)
    time.sleep(LOOK_SECONDS)
    late, done = json.loads(shell(watch, STARTS.format(since=since)))
    return late, done


def at_once(trace: Path) -> int:
    """The most runs of the flood that were at work at one time, by their own trace."""
    working, most = set[str](), 0
    for line in trace.read_text().splitlines():
        _, what, key, _ = line.split()
        if key.startswith("flood-"):
            working.add(key) if what == "start" else working.discard(key)
            most = max(most, len(working))
    return most


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_flood_of_one_organisation_keeps_nobody_else_waiting(tmp_path: Path, database_url: str) -> None:
    trace = tmp_path / "trace"
    with a_watch(tmp_path / "data", DATABASE_URL=database_url) as watch:
        shell(watch, SET_UP.format(trace=str(trace)))
        watch.beat()
        watch.worker(pool="threads", slots=8)
        watch.until(lambda: trace.exists() and len(trace.read_text().splitlines()) > 6)
        calm, _ = starts(watch)
        shell(watch, FLOOD)
        watch.until(lambda: "flood-" in trace.read_text())
        loud, done = starts(watch)
        assert done > 10, "the flood itself goes on"
        assert at_once(trace) == 4, "as many at once as its organisation may, and no more"
        assert len(loud) >= LOOK_SECONDS - 4, "a start for each second"
        # The machine itself is busier; a run that waited for the flood would wait for minutes.
        assert median(loud) < 2 * median(calm) + 1, (calm, loud)
        assert max(loud) < max(calm) + 3, (calm, loud)
