"""Where a benchmark happens: a Redis and a database of its own, and a watch of real processes on them."""

from __future__ import annotations

import os
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
QUIET = ("--loglevel", "WARNING", "--without-gossip", "--without-mingle")


def in_own_process(work: Callable[..., T], *arguments: Any) -> T:
    """Django is configured once in a process, so each database gets a process of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


@dataclass(kw_only=True)
class Place:
    """``redis`` and ``postgres`` are addresses without the number or name at their end."""

    folder: Path
    redis: str
    postgres: str
    watch: Watch

    def broker(self, number: int) -> str:
        return f"{self.redis}/{number}"

    def database(self, name: str) -> str:
        return f"{self.postgres}/{name}"

    def worker(self, *, slots: int) -> None:
        """As ``make run`` starts it."""
        from tests.processes import QUEUES

        self.watch.start(
            "worker", "-m", "celery", "-A", "config", "worker", "--pool", "prefork", "-c", str(slots), "-Q", QUEUES,
            *QUIET, "-n", "worker@%h",
        )  # fmt: skip

    def beat(self) -> None:
        self.watch.start("beat", "-m", "celery", "-A", "config", "beat", "--pidfile=", "--loglevel", "WARNING")


@contextmanager
def place(*, postgres: bool) -> Iterator[Place]:
    """Servers started, the database migrated, Django set up in this process; no other process of ours runs yet.

    PostgreSQL is durable (``fsync`` and ``synchronous_commit`` on); SQLite has full synchronous, the default.
    """
    sys.path.insert(0, str(ROOT))
    from tests import servers
    from tests.processes import watching

    with servers.folder("bench") as folder:
        (folder / "redis").mkdir()
        with servers.running_redis(folder / "redis") as redis, _database(folder, postgres=postgres) as url:
            given = {"REDIS_URL": redis.url, "SECRET_KEY": "only for a benchmark " * 3}
            with watching(folder, given | ({"DATABASE_URL": f"{url}/postgres"} if url else {})) as watch:
                _set_up(watch.environment)
                yield Place(folder=folder, redis=redis.url.rpartition("/")[0], postgres=url, watch=watch)


@contextmanager
def _database(folder: Path, *, postgres: bool) -> Iterator[str]:
    from tests import servers

    if not postgres:
        yield ""
        return
    (folder / "postgres").mkdir(mode=0o711)
    with servers.running_postgres(folder / "postgres", durable=True) as server:
        yield server.url.rpartition("/")[0]


def _set_up(environment: dict[str, str]) -> None:
    import django

    os.environ.pop("DATABASE_URL", None)
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="config.settings")
    django.setup()
