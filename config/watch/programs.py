"""The Django processes of a watch as the supervisor runs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from signal import SIGQUIT, SIGTERM, Signals

from config.watch.child import MARKER, Child
from config.watch.folder import DataFolder
from config.watch.settings import HOST, Settings

# Who presses Ctrl-C waits: what is not done by then is begun anew with the next start.
DRAIN_SECONDS = "4"
QUEUES = "containers,backups,sessions,agents,scans,housekeeping"


def environment(data: DataFolder, values: Mapping[str, str]) -> dict[str, str]:
    """What every child gets: the person's environment, the watch's own values, and no proxy for loopback."""
    bypass = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), HOST, "localhost"]))
    own = {MARKER: str(data.path), "WATCHBILL_DATA": str(data.path), "NO_PROXY": bypass, "no_proxy": bypass}
    return {"DRAIN_SECONDS": DRAIN_SECONDS, **os.environ, **values, **own}


class Programs:
    """Builds the children, all in the project's folder with one environment."""

    def __init__(self, settings: Settings, data: DataFolder, env: Mapping[str, str]) -> None:
        self._settings = settings
        self._data = data
        self._env = env

    def migrate(self) -> Child:
        return self._child("migrate", "manage.py", "migrate", "--noinput")

    def bootstrap(self) -> Child:
        return self._child("bootstrap", "manage.py", "bootstrap", "--json")

    def web(self) -> Child:
        # A live log is an answer without an end: leaving waits 3 s for open ones, then closes them.
        options = ("--no-access-log", "--lifespan", "off", "--timeout-graceful-shutdown", "3")
        address = ("--host", HOST, "--port", str(self._settings.port))
        return self._child("web", "-m", "uvicorn", "config.asgi:application", *address, *options, stage=2)

    def beat(self) -> Child:
        # First to end: nothing new is planned while the worker finishes.
        return self._celery("beat", "--pidfile=", "--loglevel", "WARNING", stage=3, stops=((SIGTERM, 3.0),))

    def worker(self) -> Child:
        pool = ("--pool", "prefork", "-c", str(self._settings.worker_slots), "-Q", QUEUES, "-n", "watch@%h")
        quiet = ("--loglevel", "WARNING", "--without-gossip", "--without-mingle")
        # Warm: finish the running tasks, or hand them back (DRAIN_SECONDS); then cold, and the rescue takes them.
        return self._celery("worker", *pool, *quiet, stops=((SIGTERM, 8.0), (SIGQUIT, 2.0)))

    def flower(self, port: int) -> Child:
        # Its password comes through FLOWER_BASIC_AUTH in the environment: `ps` shows argv to everybody.
        return self._celery("flower", f"--address={HOST}", f"--port={port}")

    def _celery(
        self, name: str, *options: str, stage: int = 2, stops: tuple[tuple[Signals, float], ...] | None = None
    ) -> Child:
        return self._child(name, "-m", "celery", "-A", "config", name, *options, stage=stage, stops=stops)

    def _child(
        self, name: str, *argv: str, stage: int = 2, stops: tuple[tuple[Signals, float], ...] | None = None
    ) -> Child:
        return Child(
            name=name,
            argv=(sys.executable, *argv),
            env=self._env,
            cwd=self._settings.project,
            log=self._data.log(name),
            stops=stops or ((SIGTERM, 5.0),),
            stage=stage,
        )
