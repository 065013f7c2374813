"""A watch of real processes: beat, workers, web and commands, on a database and a Redis of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUEUES = "containers,backups,sessions,agents,scans,housekeeping"


class Watch:
    """Starts and ends the processes of one watch. Every process is ended by its own id."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_URL"))
        }
        self.environment |= {"WATCHBILL_DATA": str(folder), "WATCHBILL_APPS": "tests.witness"} | environment
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def manage(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` as a person in a second terminal would."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            input=stdin,
        )

    def ask(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        done = self.manage(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def beat(self, name: str = "beat") -> None:
        self.start(name, "-m", "celery", "-A", "config", "beat", "--pidfile=", "--loglevel", "INFO")

    def worker(self, name: str = "worker", *, pool: str = "prefork", slots: int = 2) -> None:
        self.start(
            name, "-m", "celery", "-A", "config", "worker", "--pool", pool, "-c", str(slots), "-Q", QUEUES,
            "--loglevel", "INFO", "--without-gossip", "--without-mingle", "-n", f"{name}@%h",
        )  # fmt: skip

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment_of(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def environment_of(self, name: str) -> dict[str, str]:  # noqa: ARG002 - a part may have one of its own
        """What a process is started with."""
        return self.environment

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a process and its children, at once unless another signal is named."""
        process = self.processes.pop(name)
        target = process.pid
        try:
            if number == signal.SIGKILL:
                os.killpg(target, number)
            else:
                process.send_signal(number)
        except ProcessLookupError:
            pass
        process.wait(timeout=30)

    def end(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log")
        )

    def until(self, what: Callable[[], Any], *, seconds: float = 60, every: float = 0.2) -> Any:
        """Wait until ``what()`` is true, and return it."""
        deadline = time.monotonic() + seconds
        while not (value := what()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s: {what}\n{self.logs()}")
            time.sleep(every)
        return value


@contextmanager
def watching(folder: Path, environment: dict[str, str]) -> Iterator[Watch]:
    """A migrated watch with its first organisation; nothing runs yet."""
    watch = Watch(folder, environment)
    try:
        done = watch.manage("migrate", "--noinput", "-v", "0")
        assert done.returncode == 0, done.stderr
        done = watch.manage("org", "create", "main")
        assert done.returncode == 0, done.stderr
        yield watch
    finally:
        watch.end()
