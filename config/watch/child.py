"""One process of the watch: how it is described, started and ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.watch import logs

#: Every child carries this with the data folder as its value, so that what a killed watch left can be found.
MARKER = "WATCHBILL_WATCH"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process to run.

    ``stops`` are the signals that end it, each with the seconds it is given. Those of all stages together stay
    below 20 s, so that Ctrl-C is never felt to hang.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    stops: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 5.0),)
    #: What the kernel sends it when the supervisor dies without a word.
    orphan_signal: signal.Signals = signal.SIGKILL
    #: The same stage is ended together; higher stages first.
    stage: int = 1


def spawn(child: Child, *, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """Start the child in a session of its own: the terminal's Ctrl-C must reach the supervisor alone."""
    logs.rotate(child.log)
    log = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - argv is ours, never a shell
            child.argv,
            env=dict(child.env),
            cwd=child.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log if stdout is None else stdout,
            stderr=log,
            start_new_session=True,
            # Safe here: the supervisor has one thread, and that thread lives as long as the process, which
            # matters because the kernel watches the thread that forked.
            preexec_fn=_tie_to_parent(child.orphan_signal),  # noqa: PLW1509
        )
    finally:
        os.close(log)


def _tie_to_parent(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """For the child between fork and exec: ask the kernel for a signal when the supervisor dies."""
    libc = _libc
    if libc is None:
        return None
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)

    return before_exec


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the child and everything it started that stayed in its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
