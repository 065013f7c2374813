"""What the witness's timeline proves against the engine. Pure: no database, no clock. ``timeline`` has the words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise

from tests.chaos.timeline import Line, Stretch, executions


def two_at_once(stretches: Iterable[Stretch]) -> list[str]:
    """Runs of which two executions were live at one time."""
    runs: dict[str, list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        if not stretch.is_waking:
            runs[stretch.run].append(stretch)
    return [told for each in runs.values() for pair in combinations(each, 2) if (told := _overlap(*pair))]


def _overlap(one: Stretch, other: Stretch) -> str:
    begin, end = max(one.begin, other.begin), min(one.end, other.end)
    if one.execution == other.execution or end < begin:
        return ""
    attempts = f"attempts {one.attempt} and {other.attempt}"
    return f"{one.run}: {attempts} were live together for {end - begin:.3f} s from {begin:.3f}"


def limits_exceeded(stretches: Iterable[Stretch], limits: Mapping[str, int]) -> list[str]:
    """Times at which a scope held more than its limit. A run that needs an agent alone weighs as much as its limit."""
    found = []
    changes: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for stretch in stretches:
        for scope, alone in stretch.scopes.items():
            if not stretch.is_waking:
                weight = limits[scope] if alone else 1
                changes[scope] += [(stretch.begin, weight, stretch.run), (stretch.end, -weight, stretch.run)]
    for scope, edges in changes.items():
        found += _over(scope, limits[scope], edges)
    return found


def _over(scope: str, limit: int, edges: Sequence[tuple[float, int, str]]) -> list[str]:
    """What ends at an instant ends before what begins at it."""
    level, found = 0, []
    for at, change, run in sorted(edges):
        if change > 0 and level + change > limit:
            found.append(f"{scope}: {level + change} of {limit} at {at:.3f}, when {run} began")
        level += change
    return found


def repeated_after_success(lines: Iterable[Line], succeeded: Mapping[str, float]) -> list[str]:
    """Starts of runs whose success was committed before. ``succeeded``: when each was, by the same clock."""
    return [
        f"{line.run}: attempt {line.attempt} started {line.at - succeeded[line.run]:.3f} s after its success"
        for line in lines
        if line.kind == "start" and line.run in succeeded and line.at > succeeded[line.run]
    ]


def late_effects(lines: Sequence[Line], *, doze: float) -> tuple[list[str], list[str]]:
    """Effects that came after a later attempt of their run began: the wrong ones, and those of sleepers."""
    starts: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.kind == "start":
            starts[line.run].append(line)
    wrong: list[str] = []
    slept: list[str] = []
    for each in executions(lines):
        for before, line in pairwise(each):
            if line.kind == "effect" and _is_overtaken(line, starts[line.run]):
                told = f"{line.run}: attempt {line.attempt} acted at {line.at:.3f} after a later one had begun"
                (slept if line.at - before.at > doze else wrong).append(told)
    return wrong, slept


def _is_overtaken(effect: Line, starts: Sequence[Line]) -> bool:
    return any(start.attempt > effect.attempt and start.at < effect.at for start in starts)


def effects_repeated(lines: Iterable[Line]) -> int:
    """How many effects were repeated because their first commit was lost: allowed, at-least-once."""
    effects: dict[str, int] = defaultdict(int)
    for line in lines:
        if line.kind == "effect":
            effects[line.run] += 1
    return sum(count - 1 for count in effects.values())


def successes_without_effect(lines: Iterable[Line], succeeded: Iterable[str]) -> list[str]:
    """Runs that are called successful and that did nothing: lost, however well they look."""
    acted = {line.run for line in lines if line.kind == "effect"}
    return [f"{run}: called successful, and the witness saw no effect" for run in succeeded if run not in acted]
