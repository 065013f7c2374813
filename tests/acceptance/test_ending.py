"""Cancelled or out of time, every kind of work ends within five seconds, on either pool."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Watch, watching

SECONDS = 5.0
SET_UP = """
import json
from fleet.actors import Actor
from fleet.models import Agent, Organisation
from schedules.models import *
from schedules.services.runs import run_now
from schedules.services.schedules import schedule_create
actor, organisation = Actor.system("test"), Organisation.objects.get()
Organisation.objects.update(max_concurrent_runs=100)
Agent.objects.update(max_concurrent_runs=100)
for case in json.loads({cases!r}):
    for how, limit in (("cancel", 3600), ("timeout", 6)):
        job = schedule_create(organisation=organisation, actor=actor, display_name=case["name"] + "-" + how,
            expression="@manually", executor=case["executor"], payload=case["payload"],
            agent=Agent.objects.filter(slug=case.get("agent", "")).first(), timeout_seconds=limit, max_retries=0)
        run_now(schedule=job, actor=actor)
"""
CANCEL = """
from fleet.actors import Actor
from schedules.models import *
from schedules.services.runs import run_cancel
for run in Run.objects.filter(schedule_name__endswith="-cancel"):
    run_cancel(run=run, actor=Actor.system("test"))
"""
ENDED = """
import json
from schedules.models import *
print(json.dumps({run.schedule_name: [run.status, run.error_message, run.finished_at and
    (run.finished_at - (run.cancel_requested_at or run.deadline_at)).total_seconds()] for run in Run.objects.all()}))
"""


def shell(watch: Watch, code: str) -> str:
    done = watch.manage("shell", "-v", "0", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def silent_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """It takes calls and never answers. Its address, and the connections it has."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", taken
        for each in taken:
            each.close()


@contextmanager
def a_watch(folder: Path, **environment: str) -> Iterator[Watch]:
    from tests.servers import running_redis

    (folder / "redis").mkdir(parents=True)
    with (
        running_redis(folder / "redis") as redis,
        watching(folder, {"REDIS_URL": redis.url, **environment}) as watch,
    ):
        yield watch


def end_all(watch: Watch, cases: list[dict[str, Any]], pool: str) -> None:
    """Start each case twice, cancel one and leave the other to its deadline; both have to end in time."""
    watch.worker(pool=pool, slots=2 * len(cases))
    shell(watch, SET_UP.format(cases=json.dumps(cases)))
    begun = "from schedules.models import *; print(Run.objects.filter(started_at=None).count())"
    watch.until(lambda: shell(watch, begun) == "0", every=0.3)
    shell(watch, CANCEL)
    found: dict[str, Any] = {}

    def over() -> bool:
        found.update(json.loads(shell(watch, ENDED)))
        return all(seconds is not None for _, _, seconds in found.values())

    watch.until(over, every=0.5)
    for case in cases:
        for how, status in (("cancel", "cancelled"), ("timeout", "timeout")):
            ended, error, seconds = found[f"{case['name']}-{how}"]
            assert ended == status, f"{case['name']}: {ended}, {error}"
            assert seconds <= SECONDS, f"{case['name']} was {ended} after {seconds:.1f} s"


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_an_archive_a_call_and_a_scan_end(tmp_path: Path, pool: str) -> None:
    workspace, root = tmp_path / "workspace", tmp_path / "backups"
    workspace.mkdir()
    # Without an end for any machine, and without a byte on the disk.
    with (workspace / "huge").open("wb") as file:
        os.ftruncate(file.fileno(), 2**40)
    with silent_server() as (url, taken), a_watch(tmp_path / "data", BACKUP_ROOT=str(root)) as watch:
        done = watch.manage("agent", "add", "night", "--workspace", str(workspace))
        assert done.returncode == 0, done.stderr
        archive = {"name": "archive", "executor": "workspace.backup", "payload": {"to": str(root)}, "agent": "night"}
        call = {"name": "call", "executor": "test.call", "payload": {"url": url}}
        scan = {"name": "scan", "executor": "test.scan", "payload": {"items": 10**12}}
        end_all(watch, [archive, call, scan], pool)
        assert len(taken) == 2
        for connection in taken:
            connection.settimeout(1)
            while connection.recv(4096):
                pass  # the request, and then the end: whoever called has hung up
        assert not [path for path in root.rglob("*") if path.is_file()], "nothing of an archive is left"


@pytest.mark.docker
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_command_in_a_container_ends(tmp_path: Path, pool: str, docker_engine: Any, toy_container: Any) -> None:
    toy_container("agent")
    with a_watch(tmp_path / "data", DOCKER_HOST=docker_engine.base_url) as watch:
        assert watch.manage("agent", "add", "agent", "--container", "agent").returncode == 0
        payload = {"command": "docker exec agent sleep 4321"}
        command = {"name": "command", "executor": "container.command", "payload": payload, "agent": "agent"}
        end_all(watch, [command], pool)
        left = [row for row in docker_engine.api.top("agent")["Processes"] if row[-1].endswith("sleep 4321")]
        assert not left


@pytest.mark.docker
def test_an_agent_that_was_away_is_reached_again(tmp_path: Path, docker_engine: Any, toy_container: Any) -> None:
    """Its run is tried again, and recovers by itself (the control plane's requirement of section 8)."""
    toy_container("agent")
    docker_engine.api.stop("agent", timeout=1)
    with a_watch(tmp_path / "data", DOCKER_HOST=docker_engine.base_url, RETRY_DELAYS="1,1,2") as watch:
        assert watch.manage("agent", "add", "agent", "--container", "agent").returncode == 0
        watch.beat()
        watch.worker()
        done = watch.manage(
            "job", "create", "--displayname", "away", "--schedule", "@manually", "--retries", "20",
            "--command", "docker exec agent echo back again", "--executor", "background",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        watch.manage("job", "run", "away")
        watch.until(lambda: watch.ask("job", "runs", "away")[0]["attempt"] >= 3, every=0.5)
        assert watch.ask("job", "runs", "away")[0]["error_code"] == "container_stopped"
        docker_engine.api.start("agent")
        watch.until(lambda: watch.ask("job", "runs", "away")[0]["status"] == "success", every=0.5)
        assert watch.ask("job", "runs", "away")[0]["result_summary"] == "back again"
