"""A blocking call that its caller can stop waiting for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds between two looks at whether the work must end.
POLL = 0.2


class Background(Generic[T]):
    """Runs ``call`` in a daemon thread: a request that hangs never keeps the process from ending."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done = threading.Event()
        self._result: list[T] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, daemon=True, name="archive-request").start()

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            self._error = error
        finally:
            self._done.set()

    def settled(self, seconds: float) -> bool:
        """Wait at most so long; True when the call ended, well or not."""
        return self._done.wait(seconds)

    def wait(self, on_wait: Callable[[], None]) -> T:
        """The call's result or exception; ``on_wait`` is called meanwhile and may raise."""
        while not self._done.wait(POLL):
            on_wait()
        if self._error is not None:
            raise self._error
        return self._result[0]
