"""Signals as the supervisor sees them: counted, and waking its sleep at once."""

from __future__ import annotations

import select
import signal
import socket
import time
from contextlib import suppress
from types import FrameType

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: `make` passes SIGTERM on to a child that the group's signal reached already: one wish, two signals.
_SAME_WISH = 1.0


class Wakeup:
    """Installed once, in the main thread, for as long as the process lives."""

    def __init__(self) -> None:
        self._first = 0.0
        self._hurried = False
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0.0)
        self._writer.settimeout(0.0)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # its byte in the pipe is what counts
        for number in _STOPS:
            # `nohup make run` ignores SIGHUP, and means it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._asked)

    @property
    def stop_asked(self) -> bool:
        return self._first > 0

    @property
    def hurried(self) -> bool:
        """Whether the person asked a second time."""
        return self._hurried

    def pause(self, seconds: float) -> None:
        """Sleep until the time is over, a signal comes or a child ends."""
        select.select([self._reader], [], [], seconds)
        with suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._first:
            self._first = now
        elif now - self._first > _SAME_WISH:
            self._hurried = True
