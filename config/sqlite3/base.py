"""Django's SQLite, with a gate in front of each transaction.

Transactions here are writers from their first statement (``transaction_mode=IMMEDIATE``). SQLite lets a writer that
meets another one sleep in steps of up to 100 ms; in front of an advisory lock on a file beside the database it looks
again within a millisecond. The gate keeps nobody out: who waited too long goes on, and SQLite's own lock decides. It
dies with its process.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import Any

from django.db.backends.sqlite3 import base

LONGEST_WAIT = 15.0
FIRST_PAUSE, LONGEST_PAUSE = 0.0001, 0.001


class Gate:
    """An advisory lock on a file, held by one connection at a time."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def enter(self) -> None:
        deadline, pause = time.monotonic() + LONGEST_WAIT, FIRST_PAUSE
        while not self._try():
            if time.monotonic() > deadline:
                return
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def leave(self) -> None:
        """Harmless when it is not held."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose transactions pass the gate. A database in memory has none."""

    _gate: Gate | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        if not self.is_in_memory_db():
            with suppress(OSError):  # a database that can only be read has no gate, and needs none
                self._gate = Gate(f"{conn_params['database']}-gate")
        return connection

    def _start_transaction_under_autocommit(self) -> None:
        if self._gate:
            self._gate.enter()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._leave()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            self._leave()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._leave()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            if self._gate:
                self._gate.close()
                self._gate = None

    def _leave(self) -> None:
        if self._gate:
            self._gate.leave()
