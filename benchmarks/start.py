"""How soon a run starts after `run now`, beside a bare Celery no-op on the same idle worker; and idle memory.

Both are measured from the call in this process to the first line of work in the worker, in turn, in one run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
        ours += sample(lambda: run_now(schedule=schedule, actor=actor), ours_trace, lines=2)
        bare += sample(lambda: noop.apply_async([str(bare_trace)], queue="scans"), bare_trace, lines=1)
    return [
        Figure(f"run now to start, {label}, ms", at(ours), "bare Celery no-op", at(bare), goal=f"<= {GOAL_RATIO} x peer",
               met=at(ours) <= GOAL_RATIO * at(bare))
        for label, at in (("p50", statistics.median), ("p99", lambda values: statistics.quantiles(values, n=100)[98]))
    ]  # fmt: skip


def sample(ask: Callable[[], object], trace: Path, *, lines: int) -> list[float]:
    """Milliseconds from asking to the first line that the work wrote, on an idle worker each time."""
    taken = []
    for number in range(SAMPLES + 5):
        trace.unlink(missing_ok=True)
        asked = time.time()
        ask()
        while not trace.exists() or trace.read_text().count("\n") < lines:
            time.sleep(0.001)
        if number >= 5:  # the first ones open connections
            taken.append((float(trace.read_text().split()[0]) - asked) * 1000)
        time.sleep(0.02)
    return taken


def pids(processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, int]:
    return {name: process.pid for name, process in processes.items()}


def memory(roots: dict[str, int]) -> Figure:
    """Proportional set size of web, beat, worker (with its children) and Redis: shared pages count once."""
    total = sum(pss(pid) for root in roots.values() for pid in [root, *children(root)])
    for name, pid in roots.items():
        print(f"  {name}: {sum(pss(each) for each in [pid, *children(pid)]):.0f} MB")
    name = f"memory of web + beat + worker ({SLOTS} slots) + Redis, idle after {ROUNDS * SAMPLES} runs, MB"
    return Figure(name, total, "", 0, goal=f"<= {GOAL_MEMORY_MB}", met=total <= GOAL_MEMORY_MB)


def pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [each for child in found for each in children(child)]


if __name__ == "__main__":
    main()
