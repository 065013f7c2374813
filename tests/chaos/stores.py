"""Redis and PostgreSQL that can be killed and started again, with their data or without."""

from __future__ import annotations

import shutil
import signal
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import redis

from config.watch.ports import any_free
from tests.servers import Server, running_postgres, running_redis


class Store:
    """A server on a port that stays, in a folder that stays."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, any_free()
        folder.mkdir(mode=0o711)
        self._stack = ExitStack()
        self.server: Server | None = None

    def _running(self) -> AbstractContextManager[Server]:
        raise NotImplementedError

    def start(self) -> None:
        if self.server is None:
            self.server = self._stack.enter_context(self._running())

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it by this signal. What it wrote stays."""
        if self.server is not None:
            self.server.process.send_signal(number)
            self.server.process.wait(timeout=30)
            self._stack.close()
            self.server = None


class RedisStore(Store):
    def _running(self) -> AbstractContextManager[Server]:
        return running_redis(self.folder, port=self.port)

    @property
    def client(self) -> redis.Redis:
        """Straight to it, past every proxy."""
        return redis.Redis(port=self.port, socket_timeout=2)

    def wipe(self) -> None:
        """Forget everything; only while it is down."""
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        (self.folder / "appendonly.aof").unlink(missing_ok=True)


class PostgresStore(Store):
    """``SIGINT`` is its fast shutdown, ``SIGQUIT`` the immediate one: no checkpoint, its log is replayed."""

    def _running(self) -> AbstractContextManager[Server]:
        return running_postgres(self.folder, port=self.port, durable=True)

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"
