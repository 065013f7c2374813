"""Running a piece of work with SQLite in a child process, from the parent's side."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backups.archive.errors import ArchiveError
from backups.sqlite.errors import BY_CODE, WorkCrashedError

Check = Callable[[], None]
Progress = Callable[[int, int], None]
Answer = dict[str, Any]

#: Seconds between two looks at whether the work must end.
POLL = 0.1
#: Seconds for a child that must put a database back in order, before it is killed all the same.
GRACE = 5.0
_READ = 65536
_ROOT = str(Path(__file__).resolve().parents[2])
#: Without the site packages and the caller's environment: a child that reads hostile files knows no secrets.
_PYTHON = (sys.executable, "-I", "-S", "-B", "-c")
_START = "import sys; sys.path.insert(0, sys.argv[1]); from backups.sqlite.child import main; main()"
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR", "SQLITE_TMPDIR")


def nothing(*_: object) -> None:
    """The default of every callback here."""


def run(
    operation: str,
    request: Mapping[str, Any],
    *,
    folders: tuple[int, ...] = (),
    on_progress: Progress = nothing,
    check: Check = nothing,
    gently: bool = False,
) -> Answer:
    """What ``operation`` (of :mod:`backups.sqlite.child`) answers; ``folders`` keep their numbers there.

    ``check`` is called every tenth of a second; what it raises ends the child, ``gently`` meaning that the
    child may first put back what it changed. Raises the child's ``ArchiveError``, ``WorkCrashedError``.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [*_PYTHON, _START, _ROOT, operation],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={key: os.environ[key] for key in _KEPT if key in os.environ},
        pass_fds=folders,
        cwd="/",
    )
    with process:
        try:
            return _converse(process, request, on_progress, check)
        finally:
            _end(process, gently=gently)


def _end(process: subprocess.Popen[bytes], *, gently: bool) -> None:
    if gently and process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    process.kill()
    process.wait()


def _converse(process: subprocess.Popen[bytes], request: Mapping[str, Any], told: Progress, check: Check) -> Answer:
    assert process.stdin is not None  # noqa: S101 - for the types: it is a pipe
    with contextlib.suppress(BrokenPipeError):  # a child that died at once is told by its silence
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
    lines = _Lines(process)
    while (line := lines.next(check)) is not None:
        event = json.loads(line)
        if "progress" in event:
            told(*event["progress"])
        elif "error" in event:
            raise _raised(event)
        elif "result" in event:
            result: Answer = event["result"]
            return result
    raise _crashed(process)


def _raised(event: Mapping[str, str]) -> ArchiveError:
    kind = BY_CODE.get(event["error"], WorkCrashedError)
    return kind(event["message"])


def _crashed(process: subprocess.Popen[bytes]) -> WorkCrashedError:
    status = process.wait()
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return WorkCrashedError(
        f"The process that worked on the database ended without an answer ({how}). The source is as it was. It may "
        "have been killed or out of memory: try again. If it happens each time, the database is made to crash SQLite.",
    )


class _Lines:
    """The child's lines as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - for the types: it is a pipe
        self._descriptor = process.stdout.fileno()
        self._poll = select.poll()  # not select(): descriptors above 1,023 are everyday in a worker
        self._poll.register(self._descriptor, select.POLLIN)
        self._rest = b""

    def next(self, check: Check) -> bytes | None:
        """The next line, or None at the end."""
        while b"\n" not in self._rest:
            check()
            if not self._poll.poll(POLL * 1000):
                continue
            data = os.read(self._descriptor, _READ)
            if not data:
                return None
            self._rest += data
        check()
        line, _, self._rest = self._rest.partition(b"\n")
        return line
