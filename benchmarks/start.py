"""How soon a run starts after `run now`, beside a bare Celery no-op on the same idle worker; and idle memory.

Both are measured from the call in this process to the first line of work in the worker, in turn, in one run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _latency import percentile, sample
from _memory import tree
from _report import Figure, report

ROUNDS, SAMPLES = 3, 100
# As `make run` starts it.
SLOTS = 2
ROOT = Path(__file__).resolve().parents[1]
GOAL_RATIO, GOAL_MEMORY_MB = 5.0, 500.0


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.processes import watching
    from tests.servers import running_redis

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "redis").mkdir()
        with running_redis(folder / "redis") as redis, watching(folder, {"REDIS_URL": redis.url}) as watch:
            watch.worker(slots=SLOTS)
            watch.beat()
            watch.start("web", "-m", "uvicorn", "config.asgi:application", "--port", "0", "--lifespan", "off")
            os.environ.update(watch.environment)
            figures = [*latency(folder), memory({"redis": redis.process.pid} | pids(watch.processes))]
    report("start", figures)


def latency(folder: Path) -> list[Figure]:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from fleet.actors import Actor
    from fleet.models import Organisation
    from schedules.services.runs import run_now
    from schedules.services.schedules import schedule_create
    from tests.witness.tasks import noop

    actor = Actor.command("benchmark")
    ours_trace, bare_trace = folder / "ours", folder / "bare"
    schedule = schedule_create(
        organisation=Organisation.objects.get(),
        actor=actor,
        display_name="noop",
        executor="test.trace",
        payload={"trace": str(ours_trace)},
    )
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        ours += sample(lambda: run_now(schedule=schedule, actor=actor), ours_trace, count=SAMPLES, lines=2)
        bare += sample(lambda: noop.apply_async([str(bare_trace)], queue="scans"), bare_trace, count=SAMPLES)
    return [
        beside(f"run now to start, p{percent}, ms", percentile(ours, percent), percentile(bare, percent))
        for percent in (50, 99)
    ]


def beside(name: str, ours: float, bare: float) -> Figure:
    return Figure(name, ours, "bare Celery no-op", bare, f"<= {GOAL_RATIO} x peer", met=ours <= GOAL_RATIO * bare)


def pids(processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, int]:
    return {name: process.pid for name, process in processes.items()}


def memory(roots: dict[str, int]) -> Figure:
    """Proportional set size of web, beat, worker (with its children) and Redis: shared pages count once."""
    taken = {name: tree(pid) for name, pid in roots.items()}
    total = sum(taken.values())
    for name, megabytes in taken.items():
        print(f"  {name}: {megabytes:.0f} MB")
    name = f"memory of web + beat + worker ({SLOTS} slots) + Redis, idle after {ROUNDS * SAMPLES} runs, MB"
    return Figure(name, total, "", 0, goal=f"<= {GOAL_MEMORY_MB}", met=total <= GOAL_MEMORY_MB)


if __name__ == "__main__":
    main()
