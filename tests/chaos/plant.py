"""The watch that is to be broken: two beats, three workers and the web, each with its own lines to the stores."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.watch.ports import any_free
from tests.chaos.containers import Toy
from tests.chaos.options import Options
from tests.chaos.proxy import Line, Switchboard
from tests.chaos.stores import PostgresStore, RedisStore
from tests.processes import Watch

BEATS = ("beat-1", "beat-2")
WORKERS = ("worker-1", "worker-2", "worker-3")
# On this one the pool is threads: what it has no children for is not done to it.
THREADED = "worker-3"
WEB = "web"
PARTS = (*BEATS, *WORKERS, WEB)


@dataclass(kw_only=True)
class Lines:
    """A part's ways to its stores."""

    redis: Line
    database: Line | None


class Plant(Watch):
    """All processes of the watch, and the stores behind them."""

    def __init__(self, folder: Path, options: Options, toy: Toy | None) -> None:
        self.switchboard = Switchboard()
        self.redis = RedisStore(folder / "redis")
        self.postgres = PostgresStore(folder / "postgres") if options.database == "postgresql" else None
        self.web_port = any_free()
        data = folder / "data"
        data.mkdir()
        super().__init__(data, options.environment | ({"DOCKER_HOST": toy.base_url} if toy else {}))
        # For the machine itself and for its commands, which nothing cuts off.
        self.environment |= self._addresses(None)
        self.trace = folder / "witness"
        self.trace.touch()
        self.lines = {part: self._lines() for part in PARTS}
        #: Parts that a fault keeps down or stopped until it heals.
        self.down: set[str] = set()
        self.ended_alone: Counter[str] = Counter()

    def _lines(self) -> Lines:
        database = self.switchboard.line(self.postgres.port) if self.postgres else None
        return Lines(redis=self.switchboard.line(self.redis.port), database=database)

    def environment_of(self, name: str) -> dict[str, str]:
        return self.environment | self._addresses(self.lines.get(name))

    def _addresses(self, lines: Lines | None) -> dict[str, str]:
        """Past every proxy where there are no lines."""
        redis = lines.redis.port if lines else self.redis.port
        found = {"REDIS_URL": f"redis://127.0.0.1:{redis}/0"}
        if self.postgres:
            database = lines.database.port if lines and lines.database else self.postgres.port
            found["DATABASE_URL"] = f"postgres://postgres@127.0.0.1:{database}/postgres"
        return found

    def begin(self, part: str) -> None:
        """Start a part, unless it runs."""
        self.down.discard(part)
        if part in self.processes:
            return
        if part in BEATS:
            self.beat(part)
        elif part in WORKERS:
            self.worker(part, pool="threads" if part == THREADED else "prefork", slots=2)
        else:
            address = ("--host", "127.0.0.1", "--port", str(self.web_port), "--log-level", "warning")
            self.start(part, "-m", "uvicorn", "config.asgi:application", *address)

    def kill_group(self, part: str) -> None:
        """kill -9 of a part and all its children; it stays down until it is begun again."""
        self.down.add(part)
        if part in self.processes:
            self.kill(part)

    def kill_parent(self, part: str) -> None:
        """kill -9 of a worker's parent alone: its children are left to themselves."""
        self.down.add(part)
        if (process := self.processes.pop(part, None)) is not None:
            process.kill()
            process.wait(timeout=30)

    def children(self, part: str) -> list[int]:
        process = self.processes.get(part)
        if process is None or process.poll() is not None:
            return []
        with contextlib.suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        return []

    def signal_group(self, part: str, number: int) -> None:
        process = self.processes.get(part)
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def look_after(self) -> None:
        """Start again what ended without being told to, as a supervisor would, and count it."""
        for part in PARTS:
            process = self.processes.get(part)
            if process is not None and process.poll() is not None and part not in self.down:
                self.ended_alone[part] += 1
                self.kill(part)
                self.begin(part)

    def heal(self) -> None:
        """Everything up and connected."""
        self.redis.start()
        self.redis.client.config_set("maxmemory", "0")
        if self.postgres:
            self.postgres.start()
        for lines in self.lines.values():
            for line in filter(None, (lines.redis, lines.database)):
                self.switchboard.cut(line, "open")
        for part in PARTS:
            self.signal_group(part, signal.SIGCONT)
            self.begin(part)

    def end_all(self) -> None:
        for part in PARTS:
            self.signal_group(part, signal.SIGCONT)
        self.end()
        self.switchboard.close()
        self.redis.end()
        if self.postgres:
            self.postgres.end(signal.SIGQUIT)


@contextmanager
def planted(folder: Path, options: Options, toy: Toy | None) -> Iterator[Plant]:
    """The stores run, the database is migrated; no part of the watch runs yet."""
    plant = Plant(folder, options, toy)
    try:
        plant.redis.start()
        if plant.postgres:
            plant.postgres.start()
        done = plant.manage("migrate", "--noinput", "-v", "0")
        assert done.returncode == 0, done.stderr
        yield plant
    finally:
        plant.end_all()
