"""Ending children: politely, with a bound, and together within one stage."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from signal import Signals

from config.watch.child import Child, kill_group
from config.watch.terminal import say
from config.watch.wakeup import Wakeup


class _Ending:
    """One child on its way out: the signals it is still to get, and when."""

    def __init__(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.process = process
        self._stops: Iterator[tuple[Signals, float]] = iter(child.stops)
        self._began = self._next = time.monotonic()
        self._hurried = False

    def advance(self, *, hurried: bool) -> bool:
        """Send what is due. Returns True once the process is gone."""
        if self.process.poll() is not None:
            kill_group(self.process)
            return True
        if hurried and not self._hurried:
            self._hurried = True
            self._send(self.child.orphan_signal)
        elif time.monotonic() >= self._next:
            self._escalate()
        return False

    def _escalate(self) -> None:
        stop = next(self._stops, None)
        if stop is None:
            say(f"{self.child.name} did not end in {time.monotonic() - self._began:.0f} s and was killed.")
            kill_group(self.process)
            self._next = time.monotonic() + 5.0
        else:
            self._send(stop[0])
            self._next = time.monotonic() + stop[1]

    def _send(self, number: Signals) -> None:
        """To the process alone: it knows better than we how its own children are to be ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


def end(children: Sequence[tuple[Child, subprocess.Popen[bytes]]], wakeup: Wakeup) -> None:
    """End the children side by side, each by its own ladder of signals, the last rung being SIGKILL."""
    waiting = [_Ending(child, process) for child, process in children]
    while waiting := [item for item in waiting if not item.advance(hurried=wakeup.hurried)]:
        wakeup.pause(0.05)
