"""Asking S3 again after failures that pass, for a bounded time, and not a moment longer than the caller waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from backups.archive.background import Background
from backups.archive.s3errors import is_transient

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Retry:
    """``tries`` at most, and none that starts later than ``total`` seconds after the first.

    The pauses between them double from ``first`` to ``longest`` seconds, jittered, so that the clients of a
    server that stumbled do not come back all at once.
    """

    tries: int = 6
    first: float = 0.2
    longest: float = 5.0
    total: float = 120.0

    def pauses(self) -> Iterator[float]:
        for number in range(self.tries - 1):
            yield min(self.longest, self.first * 2**number) * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def run(self, action: Callable[[], T], ended: threading.Event) -> T:
        """The action's answer, or its last error. Set ``ended`` to have no further try."""
        until = time.monotonic() + self.total
        for pause in self.pauses():
            try:
                return action()
            except Exception as error:
                late = time.monotonic() + pause > until
                if not is_transient(error) or late or ended.wait(pause):
                    raise
        return action()


ONCE = Retry(tries=1)


class Flight(Background[T]):
    """An action under way with its retries. Who stops waiting for it stops them too."""

    def __init__(self, action: Callable[[], T], retry: Retry) -> None:
        self.ended = threading.Event()
        super().__init__(lambda: retry.run(action, self.ended))

    def wait(self, on_wait: Callable[[], None]) -> T:
        try:
            return super().wait(on_wait)
        except BaseException:
            self.ended.set()
            raise
