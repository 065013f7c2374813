"""What the witness saw, as stretches of work.

**Live.** An execution is live from its ``start`` line to the last line of its work; it writes one at each step of
50 ms, so a killed process was live until at most one step after its last line. Waiting for an answer of the database
whether it is current, and being told no (``stopped``), is no work. A process that is stopped (SIGSTOP) does nothing
and is not live: a silence as long as a lease can expire in (``doze``: the lease less two heartbeats) ends the stretch,
and a new one begins when it wakes up. A shorter silence is a busy machine: then it counts as live throughout.

**The tolerance.** A sleeper whose lease was lost meanwhile can't know it at the instant it wakes up. The keeper's
thread looks at the lease four times a second, without the database, and the executor's next ``check()`` ends the
work. So a stretch that follows a doze, brings no effect, and is no longer than ``WAKING_SECONDS`` is no violation.
Nothing else is forgiven: a worker that is cut off from the database is awake, and must stop before the rescue gives its
run to another.

**Effects.** Before its effect an execution asks ``context.is_current()`` (a line ``asks``), then acts (``effect``). An
effect after a later attempt began is a violation, unless the process dozed between asking and acting: no
system can help that, effects are at-least-once, and the table says how many there were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# The keeper looks each quarter of a second; the rest is a step of work on a busy machine.
WAKING_SECONDS = 1.5
_NO_WORK = ("stopped", "reap")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the witness. ``scopes`` maps a scope to whether the run needs all of it."""

    at: float
    kind: str
    run: str
    attempt: int
    execution: str
    scopes: dict[str, bool]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A time in which one execution was live without a doze."""

    run: str
    attempt: int
    execution: str
    begin: float
    end: float
    scopes: dict[str, bool]
    woken: bool = False
    effect: bool = False

    @property
    def is_waking(self) -> bool:
        """Whether it is a sleeper that stopped as soon as it could."""
        return self.woken and not self.effect and self.end - self.begin <= WAKING_SECONDS


def parse(text: str) -> list[Line]:
    """The lines in the order of their time. A last line that was cut off is left out."""
    rows = [row.split(" ") for row in text.splitlines()]
    return sorted((_line(row) for row in rows if len(row) == 6), key=lambda line: line.at)


def _line(row: Sequence[str]) -> Line:
    at, kind, run, attempt, execution, scopes = row
    named = {scope.removesuffix("!"): scope.endswith("!") for scope in scopes.split(",")}
    return Line(at=float(at), kind=kind, run=run, attempt=int(attempt), execution=execution, scopes=named)


def executions(lines: Iterable[Line]) -> list[list[Line]]:
    """The lines of each execution that started; what only reaped or never got to its start is none."""
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.execution].append(line)
    return [each for each in found.values() if any(line.kind == "start" for line in each)]


def stretches(lines: Iterable[Line], *, doze: float) -> list[Stretch]:
    """When which execution was live."""
    return [stretch for each in executions(lines) for stretch in _of_execution(each, doze)]


def _of_execution(lines: Sequence[Line], doze: float) -> list[Stretch]:
    asked, start = [next(line for line in lines if line.kind == kind) for kind in ("asks", "start")]
    pieces, woken = [[start]], [start.at - asked.at > doze]
    worked = [line for line in lines if line.at >= start.at and line.kind not in _NO_WORK]
    for before, line in pairwise(worked):
        if line.at - before.at > doze:
            pieces.append([])
            woken.append(True)
        pieces[-1].append(line)
    return [_stretch(piece, awoke) for piece, awoke in zip(pieces, woken, strict=True)]


def _stretch(lines: Sequence[Line], woken: bool) -> Stretch:
    first = lines[0]
    return Stretch(
        run=first.run,
        attempt=first.attempt,
        execution=first.execution,
        begin=first.at,
        end=lines[-1].at,
        scopes=first.scopes,
        woken=woken,
        effect=any(line.kind == "effect" for line in lines),
    )
