"""Where a benchmark happens: a Redis and a database of its own, and a watch of real processes on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tests.processes import Watch

ROOT = Path(__file__).resolve().parents[1]
T = TypeVar("T")
PATIENCE_SECONDS = 10.0
QUIET = ("--loglevel", "WARNING", "--without-gossip", "--without-mingle")


def in_own_process(work: Callable[..., T], *arguments: Any) -> T:
    """Django is configured once in a process, so each database gets a process of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """A Redis and a database server. The addresses lack the number or name at their end; no PostgreSQL means SQLite."""

    folder: Path
    redis: str
    postgres: str

    def broker(self, number: int) -> str:
        return f"{self.redis}/{number}"

    def database(self, name: str) -> str:
        return f"{self.postgres}/{name}"

    def create_database(self, name: str) -> str:
        import psycopg

        with psycopg.connect(self.database("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.database(name)


@contextmanager
def grounds(*, postgres: bool) -> Iterator[Grounds]:
    """PostgreSQL is durable: ``fsync`` and ``synchronous_commit`` are on."""
    sys.path.insert(0, str(ROOT))
    from tests import servers

    with servers.folder("bench") as folder:
        (folder / "redis").mkdir()
        with servers.running_redis(folder / "redis") as redis, _database(folder, postgres=postgres) as url:
            yield Grounds(folder=folder, redis=redis.url.rpartition("/")[0], postgres=url)


@contextmanager
def _database(folder: Path, *, postgres: bool) -> Iterator[str]:
    from tests import servers

    if not postgres:
        yield ""
        return
    (folder / "postgres").mkdir(mode=0o711)
    with servers.running_postgres(folder / "postgres", durable=True) as server:
        yield server.url.rpartition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One watch on the grounds. Django is set up for it in this process; nothing else of it runs yet."""

    grounds: Grounds
    folder: Path
    watch: Watch

    def worker(self, *, slots: int) -> None:
        """As ``make run`` starts it."""
        from tests.processes import QUEUES

        self.watch.start(
            "worker", "-m", "celery", "-A", "config", "worker", "--pool", "prefork", "-c", str(slots), "-Q", QUEUES,
            *QUIET, "-n", "worker@%h",
        )  # fmt: skip

    def beat(self) -> None:
        self.watch.start("beat", "-m", "celery", "-A", "config", "beat", "--pidfile=", "--loglevel", "WARNING")

    def stop(self, name: str) -> None:
        """End a process in order. One that does not is killed, and said to have been: its lease is given back here."""
        from schedules.models import EngineLease

        process = self.watch.processes[name]
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"    the {name} did not end within {PATIENCE_SECONDS:.0f} s of SIGTERM and was killed", flush=True)
            self.watch.kill(name)
            EngineLease.objects.filter(name="beat").delete()
        else:
            del self.watch.processes[name]


@contextmanager
def place(ground: Grounds, name: str = "watchbill", *, number: int = 0) -> Iterator[Place]:
    """A migrated database of this name (or SQLite with full synchronous, the default), and a number of Redis."""
    sys.path.insert(0, str(ROOT))
    from tests.processes import watching

    folder = ground.folder / name
    folder.mkdir()
    given = {"REDIS_URL": ground.broker(number), "SECRET_KEY": "only for a benchmark " * 3}
    if ground.postgres:
        given["DATABASE_URL"] = ground.create_database(name)
    # As an installed watch: its modules are compiled once, not in every process anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    given["PYTHONPYCACHEPREFIX"] = str(ground.folder / "compiled")
    with watching(folder, given) as watch:
        _set_up(watch.environment)
        yield Place(grounds=ground, folder=folder, watch=watch)


def _set_up(environment: dict[str, str]) -> None:
    import django

    os.environ.pop("DATABASE_URL", None)
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="config.settings")
    django.setup()
