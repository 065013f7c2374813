"""Starts the children, starts again what dies, and ends everything in order.

Single-threaded on purpose: see ``child.spawn``.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from config.watch import ending, logs
from config.watch.child import Child, kill_group, spawn
from config.watch.errors import LaunchError, StopAsked
from config.watch.terminal import ordinal, say, shown
from config.watch.wakeup import Wakeup

#: A child that stayed up this long has started; before, its deaths are a failing start.
SETTLED_SECONDS = 10.0
MAX_FAILED_STARTS = 5
FIRST_WAIT = 1.0
MAX_WAIT = 30.0
_LOG_CHECK_SECONDS = 60.0


@dataclass
class _Tended:
    child: Child
    process: subprocess.Popen[bytes]
    started: float
    settled: bool = False
    #: Deaths since it last stayed up: the length of the next wait.
    deaths: int = 0
    restarts: int = 0
    #: When to start it again; None while it runs.
    due: float | None = None


class Supervisor:
    def __init__(
        self, wakeup: Wakeup, *, settled_seconds: float = SETTLED_SECONDS, first_wait: float = FIRST_WAIT
    ) -> None:
        self._wakeup = wakeup
        self._settled_seconds = settled_seconds
        self._first_wait = first_wait
        self._tended: list[_Tended] = []
        self._step: subprocess.Popen[bytes] | None = None
        self._logs_checked = time.monotonic()

    def start(self, child: Child) -> None:
        self._tended.append(_Tended(child, spawn(child), time.monotonic()))

    def start_ready(self, child: Child, ready: Callable[[], bool], *, seconds: float = 20.0) -> None:
        """Start a child that others need, and wait for it. One that cannot start is not tried again."""
        self.start(child)
        process = self._tended[-1].process
        deadline = time.monotonic() + seconds
        while not ready():
            self._check_stop()
            if process.poll() is not None:
                raise _failed(child, f"ended at its start with exit code {process.returncode}")
            if time.monotonic() > deadline:
                raise _failed(child, f"did not answer within {seconds:.0f} s")
            self._wakeup.pause(0.05)

    def run(self, step: Child) -> str:
        """Run a step to its end, tending the rest meanwhile, and return what it wrote to stdout."""
        # A temporary file without a name, not a pipe: it cannot fill up, and the text may hold a password.
        with tempfile.TemporaryFile() as output:
            process = self._step = spawn(step, stdout=output.fileno())
            self.tend(until=lambda: process.poll() is not None)
            self._step = None
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        if process.returncode:
            raise _failed(step, f"failed with exit code {process.returncode}", extra=text)
        return text

    def tend(self, *, until: Callable[[], bool] | None = None, seconds: float = float("inf")) -> bool:
        """Look after the children until the condition holds (True) or the time is over (False).

        Raises ``StopAsked`` on a signal, and ``LaunchError`` for a child that cannot start.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._check_stop()
            for tended in self._tended:
                self._look_after(tended)
            self._check_logs()
            if until is not None and until():
                return True
            if time.monotonic() > deadline:
                return False
            self._wakeup.pause(0.1 if until else 0.5)

    def stop_all(self) -> None:
        """End every child, stage by stage. Returns when none is left."""
        if self._step is not None:
            kill_group(self._step)
            self._step.wait()
        for tended in self._tended:
            tended.due = None
        for stage in sorted({tended.child.stage for tended in self._tended}, reverse=True):
            members = [tended for tended in self._tended if tended.child.stage == stage]
            ending.end([(tended.child, tended.process) for tended in members], self._wakeup)

    def _check_stop(self) -> None:
        if self._wakeup.stop_asked:
            raise StopAsked

    def _look_after(self, tended: _Tended) -> None:
        now = time.monotonic()
        if tended.due is not None:
            if now >= tended.due:
                tended.due, tended.started = None, now
                tended.process = spawn(tended.child)
        elif tended.process.poll() is not None:
            self._died(tended, now)
        elif now - tended.started >= self._settled_seconds:
            tended.settled, tended.deaths = True, 0

    def _died(self, tended: _Tended, now: float) -> None:
        child, code = tended.child, tended.process.returncode
        kill_group(tended.process)  # what it started must not go on beside its successor
        tended.deaths += 1
        if not tended.settled and tended.deaths >= MAX_FAILED_STARTS:
            raise _failed(child, f"ended {tended.deaths} times in its first seconds, with exit code {code}")
        tended.restarts += 1
        wait = min(MAX_WAIT, self._first_wait * 2.0 ** (tended.deaths - 1))
        tended.due = now + wait
        say(
            f"{child.name} ended with exit code {code}; started again in {wait:g} s "
            f"({ordinal(tended.restarts)} time). Log: {shown(child.log)}"
        )

    def _check_logs(self) -> None:
        if time.monotonic() - self._logs_checked < _LOG_CHECK_SECONDS:
            return
        self._logs_checked = time.monotonic()
        for tended in self._tended:
            logs.rotate(tended.child.log)


def _failed(child: Child, what: str, *, extra: str = "") -> LaunchError:
    lines = "\n".join(part for part in (logs.tail(child.log), extra.rstrip()) if part)
    return LaunchError(f"{child.name} {what}. The last lines of {shown(child.log)}:\n{lines}")
