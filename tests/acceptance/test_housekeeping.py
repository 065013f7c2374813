"""Pruning beside a watch at work: planning goes on, and the ledger stays in order."""

from __future__ import annotations

import json

from tests.processes import Watch

OLD = """
from datetime import timedelta
from schedules.models import *
from schedules.engine.clock import database_now
now = database_now()
for job in Schedule.objects.exclude(name="steady"):
    born = job.planned_through
    for revision in job.revisions.all():
        revision.since -= timedelta(days=100)
        revision.save()
    fires = [born.replace(second=0) - timedelta(minutes=minute) for minute in range(1500)]
    runs = Run.objects.bulk_create([
        Run(organisation=job.organisation, schedule=job, schedule_name=job.name, executor=job.executor, queue="scans",
            trigger="schedule", status="success", fire_at=fire, created_at=fire, finished_at=fire, log_bytes=2,
            job_run_id=f"old-{job.pk}-{number}") for number, fire in reversed(list(enumerate(fires)))])
    RunEvent.objects.bulk_create([RunEvent(run=run, at=run.created_at, kind=kind, status="success", attempt=1)
        for run in runs for kind in ("planned", "admitted", "started", "success")])
    RunLogChunk.objects.bulk_create([RunLogChunk(run=run, attempt=1, number=0, lines=[]) for run in runs])
"""
# Only what was planned meanwhile.
PRUNE = """
from django.db.models import F
from schedules.engine.clock import database_now
from schedules.models import *
from schedules.tasks import prune_runs
begun = database_now()
removed = prune_runs(days=1, keep=1, most=1)["removed"]
took = (database_now() - begun).total_seconds()
fires = Run.objects.filter(schedule__name="steady", created_at__gt=begun).values_list("created_at", "fire_at")
missed = SkipSpan.objects.filter(reason="misfire", first_fire_at__gt=begun).count()
print(removed["runs"], took, len(fires), max((created - fire).total_seconds() for created, fire in fires), missed)
"""


def shell(watch: Watch, code: str) -> str:
    done = watch.manage("shell", "-v", "0", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def create(watch: Watch, name: str, schedule: str) -> None:
    payload = json.dumps({"trace": str(watch.folder / "trace")})
    done = watch.manage(
        "job", "create", "--displayname", name, "--schedule", schedule, "--executor", "test.trace",
        "--payload", payload, "--overlap", "queue_all",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_planning_goes_on_while_old_runs_are_removed(watch: Watch) -> None:
    for name in ("one", "two"):
        create(watch, name, "* * * * *")
        assert watch.manage("job", "disable", name).returncode == 0
    shell(watch, OLD)
    watch.beat()
    create(watch, "steady", "* * * * * *")
    watch.until(lambda: watch.ask("job", "runs", "steady"), every=0.5)
    removed, took, planned, latest, missed = map(float, shell(watch, PRUNE).split())
    assert removed >= 2998
    assert planned > took / 2, "a fire was planned each second meanwhile"
    assert latest < 2.5, f"{removed:.0f} runs removed in {took:.1f} s"
    assert missed == 0
