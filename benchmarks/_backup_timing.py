"""Timing whole processes on a machine that others use too: from a warm cache, and again when it was not quiet."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

#: The share of the machine that others may take while something is measured; beyond it is measured again.
QUIET = 0.05
_TRIES = 4
#: Seconds that a whole run spends at most on waiting for the others and on measuring again.
_PATIENCE = 240.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Job:
    """``reads`` is read beforehand, so that the cache is as warm for every side. ``before`` is not counted."""

    command: list[str]
    reads: Path
    before: Callable[[], object] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """``others``: the share of the machine that was taken by processes which are not ours to measure."""

    seconds: float
    cpu: float
    server_cpu: float
    others: float
    output: str


def measure(job: Job, *, server: int = 0) -> Measured:
    """``server``: a process whose time belongs to the job. Of tries that were all disturbed, the quietest counts.

    The output is that of the last one, whose files are still there.
    """
    tries: list[Measured] = []
    while not tries or (tries[-1].others > QUIET and len(tries) < _TRIES and _Patience.left > 0):
        begun = time.monotonic()
        job.before()
        _await_quiet()
        warm(job.reads)
        tries.append(_once(job, server))
        if len(tries) > 1:
            _Patience.left -= time.monotonic() - begun
    return replace(min(tries, key=lambda each: each.others), output=tries[-1].output)


def warm(path: Path) -> None:
    """Read it all, and let nothing wait to be written."""
    os.sync()
    subprocess.run(["find", str(path), "-type", "f", "-exec", "cat", "{}", "+"], stdout=subprocess.DEVNULL, check=True)


class _Patience:
    left = _PATIENCE


def _await_quiet() -> None:
    while _Patience.left > 0:
        begun, busy = time.monotonic(), _machine()
        time.sleep(0.5)
        if _machine() - busy < QUIET * 0.5 * _cores():
            return
        _Patience.left -= time.monotonic() - begun


def _once(job: Job, server: int) -> Measured:
    machine, own, served = _machine(), _children(), _process(server)
    begun = time.monotonic()
    done = subprocess.run(
        job.command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=job.cwd,
        env={**os.environ, **job.environment},
    )
    seconds = time.monotonic() - begun
    cpu, server_cpu = _children() - own, _process(server) - served
    others = (_machine() - machine - cpu - server_cpu) / (seconds * _cores())
    return Measured(seconds=seconds, cpu=cpu, server_cpu=server_cpu, others=max(0.0, others), output=done.stdout)


def _cores() -> int:
    return os.cpu_count() or 1


def _machine() -> float:
    """CPU seconds of all processes and of the kernel so far, those that a hypervisor took away included."""
    user, nice, system, _idle, _wait, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / _TICKS


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _process(pid: int) -> float:
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
