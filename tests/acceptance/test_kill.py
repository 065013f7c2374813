"""kill -9 of anything: no run lost, no fire planned twice, no success repeated."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from config.watch.ports import any_free
from tests.processes import Watch, watching


def create(
    watch: Watch, name: str, schedule: str, *, executor: str = "test.trace", agent: str = "", **payload: object
) -> None:
    options = [f"--payload={json.dumps({'trace': str(watch.folder / 'trace'), **payload})}", "--executor", executor]
    options += ["--agent", agent] if agent else []
    done = watch.manage("job", "create", "--displayname", name, "--schedule", schedule, *options)
    assert done.returncode == 0, done.stderr


def trace(watch: Watch) -> list[list[str]]:
    path: Path = watch.folder / "trace"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def runs(watch: Watch, name: str) -> list[dict[str, object]]:
    return list(watch.ask("job", "runs", name, "-n", "1000"))


def skipped(watch: Watch) -> int:
    """How many fires the ledger accounts for by skip spans."""
    return number(watch, "sum(SkipSpan.objects.values_list('count', flat=True))")


def expected(watch: Watch) -> int:
    """How many seconds lie between the first fire and the cursor."""
    first = (
        "min(*SkipSpan.objects.values_list('first_fire_at', flat=True), *Run.objects.values_list('fire_at', flat=True))"
    )
    return number(watch, f"round((Schedule.objects.get().next_run_at - {first}).total_seconds())")


def number(watch: Watch, expression: str) -> int:
    done = watch.manage("shell", "-v", "0", "-c", f"from schedules.models import *; print({expression})")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_run_survives_kill_9_of_its_worker(watch: Watch) -> None:
    watch.beat()
    watch.worker("first")
    create(watch, "long", "@manually", seconds=3)
    done = watch.manage("job", "run", "long")
    assert done.returncode == 0, done.stderr
    watch.until(lambda: [line for line in trace(watch) if line[1] == "start"])
    watch.kill("first")
    watch.worker("second")
    (run,) = watch.until(lambda: [run for run in runs(watch, "long") if run["status"] == "success"], every=1)
    assert run["attempt"] == 2
    assert [line[1] for line in trace(watch)] == ["start", "reap", "start", "end"]


def test_a_child_that_kills_itself_is_retried(watch: Watch) -> None:
    watch.beat()
    watch.worker()
    create(watch, "suicidal", "@manually", kill_attempts=1)
    watch.manage("job", "run", "suicidal")
    (run,) = watch.until(lambda: [run for run in runs(watch, "suicidal") if run["status"] == "success"], every=1)
    assert run["attempt"] == 2


def test_kill_9_of_beat_misses_and_doubles_nothing(watch: Watch) -> None:
    watch.worker()
    watch.beat()
    create(watch, "steady", "* * * * * *")
    started = time.time()
    for _ in range(3):
        time.sleep(3)
        watch.kill("beat")
        watch.beat()
    watch.until(lambda: time.time() - started > 16, every=1)
    watch.kill("beat", signal.SIGTERM)
    watch.until(lambda: all(run["status"] == "success" for run in runs(watch, "steady")), every=1)
    fires = sorted(str(run["fire_at"]) for run in runs(watch, "steady"))
    assert len(fires) == len(set(fires))
    assert len(fires) + skipped(watch) == expected(watch), "every second is a run or in a span, none is both"
    ends = Counter(line[2] for line in trace(watch) if line[1] == "end")
    assert set(ends.values()) == {1}, "a committed success was repeated"
    assert len(ends) == len(fires)


def test_two_beats_plan_and_clean_once(watch: Watch) -> None:
    watch.worker()
    watch.beat("one")
    watch.beat("two")
    create(watch, "steady", "*/2 * * * * *")
    time.sleep(8)
    watch.kill("one")
    time.sleep(8)
    watch.kill("two", signal.SIGTERM)
    watch.until(lambda: all(run["status"] == "success" for run in runs(watch, "steady")), every=1)
    fires = [run["fire_at"] for run in runs(watch, "steady")]
    assert len(fires) == len(set(fires)) >= 5
    sent = (watch.log("one") + watch.log("two")).count("Sending due task Forget workers")
    assert sent <= 1


def test_a_flushed_redis_loses_no_run(watch: Watch) -> None:
    import redis

    watch.beat()
    watch.worker()
    create(watch, "one at a time", "@manually", seconds=1)
    for _ in range(4):
        watch.manage("job", "run", "one-at-a-time")
    redis.Redis.from_url(watch.environment["REDIS_URL"]).flushall()
    watch.until(lambda: all(run["status"] == "success" for run in runs(watch, "one-at-a-time")), every=1)
    happened = [line[1] for line in trace(watch)]
    assert happened == ["start", "end"] * 4, "two ran at once, or one ran twice"


def test_a_killed_redis_keeps_no_worker_from_working(tmp_path: Path) -> None:
    """A run is at work while Redis dies and comes back: the other slot must take the next one."""
    from tests.servers import running_redis

    folder, port = tmp_path / "redis", any_free()
    folder.mkdir()
    with watching(tmp_path, {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}) as watch:
        with running_redis(folder, port=port) as redis:
            watch.beat()
            watch.worker()
            create(watch, "long", "@manually", seconds=60)
            create(watch, "short", "@manually")
            watch.manage("job", "run", "long")
            watch.until(lambda: trace(watch))
            redis.process.kill()
            redis.process.wait()
        with running_redis(folder, port=port):
            watch.manage("job", "run", "short")
            watch.until(lambda: runs(watch, "short")[0]["status"] == "success", seconds=40, every=1)
            assert runs(watch, "long")[0]["status"] == "running"


def test_a_database_that_drops_its_connections_loses_no_run(watch: Watch, database_url: str) -> None:
    if not database_url:
        pytest.skip("SQLite has no connections to drop")
    import psycopg

    watch.beat()
    watch.worker()
    create(watch, "steady", "* * * * * *")
    for _ in range(3):
        time.sleep(3)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    time.sleep(3)
    assert watch.manage("job", "disable", "steady").returncode == 0
    watch.until(lambda: all(run["status"] == "success" for run in runs(watch, "steady")), every=1)
    ends = Counter(line[2] for line in trace(watch) if line[1] == "end")
    assert set(ends.values()) == {1}
    assert len(ends) == len(runs(watch, "steady")) >= 8


def test_cancel_and_timeout_end_the_work(watch: Watch) -> None:
    watch.beat()
    watch.worker()
    create(watch, "endless", "@manually", seconds=600)
    watch.manage("job", "run", "endless")
    run_id = str(
        watch.until(lambda: [run for run in runs(watch, "endless") if run["status"] == "running"])[0]["job_run_id"]
    )
    assert watch.manage("job", "cancel", run_id).returncode == 0
    watch.until(lambda: runs(watch, "endless")[0]["status"] == "cancelled")
    took = "(run.finished_at - run.cancel_requested_at).total_seconds() for run in Run.objects.all()"
    assert number(watch, f"round(max({took}))") <= 5
    done = watch.manage(
        "job", "create", "--displayname", "short", "--schedule", "@manually", "--executor", "test.trace",
        "--timeout", "2", "--payload", json.dumps({"trace": str(watch.folder / "trace"), "seconds": 600}),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = watch.manage("job", "run", "short", "--wait")
    assert done.returncode == 1
    assert "time limit of 2 s" in done.stderr


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_both_pools_run_and_retry(watch: Watch, pool: str) -> None:
    watch.environment["RETRY_DELAYS"] = "1"
    watch.beat()
    watch.worker(pool=pool)
    payload = json.dumps({"trace": str(watch.folder / "trace"), "fail_attempts": 1, "text": "password=hunter22"})
    watch.manage(
        "job", "create", "--displayname", "Flaky", "--schedule", "@manually", "--executor", "test.trace",
        "--retries", "2", "--payload", payload,
    )  # fmt: skip
    done = watch.manage("job", "run", "flaky", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "password=[redacted]" in done.stdout
    assert "hunter22" not in done.stdout
    (run,) = runs(watch, "flaky")
    assert run["attempt"] == 2
    assert os.path.exists(watch.folder / "trace")  # noqa: PTH110


def test_a_recovery_ends_what_holds_its_agent_and_goes_first(watch: Watch) -> None:
    watch.environment["RECOVERY_GRACE_SECONDS"] = "1"
    watch.beat()
    watch.worker(slots=4)
    assert watch.manage("agent", "add", "night", "--workspace", str(watch.folder)).returncode == 0
    create(watch, "long", "@manually", agent="night", seconds=60)
    create(watch, "restore", "@manually", agent="night", executor="test.recover")
    watch.manage("job", "run", "long")
    watch.until(lambda: [line for line in trace(watch) if line[1] == "start"])
    watch.manage("job", "run", "restore")
    asked = time.monotonic()
    (run,) = watch.until(lambda: [run for run in runs(watch, "restore") if run["status"] == "success"], every=0.5)
    assert time.monotonic() - asked < 15
    (ended,) = runs(watch, "long")
    assert ended["status"] == "cancelled"
    lines = [(line[1], line[2]) for line in trace(watch)]
    held = [lines.index(("reap", ended["job_run_id"])), lines.index(("start", run["job_run_id"]))]
    assert held == sorted(held), "the recovery starts when the other has ended"
