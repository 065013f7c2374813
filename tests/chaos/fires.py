"""Which fires were due, counted second by second, and what covers them. It shares no code with the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Span:
    """Consecutive fires that became no run."""

    first: datetime
    last: datetime
    count: int


@dataclass(kw_only=True)
class Coverage:
    """What became of the expected fires of one schedule."""

    expected: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


def fires_between(expression: str, anchor: datetime, after: datetime, through: datetime) -> list[datetime]:
    """The fires of (``after``, ``through``] of ``* * * * * *``, ``*/N * * * * *`` or ``@every Ns``."""
    first = after.replace(microsecond=0) + timedelta(seconds=1)
    seconds = max(0, int((through - first).total_seconds()) + 1) if through >= first else 0
    moments = (first + timedelta(seconds=number) for number in range(seconds))
    return [moment for moment in moments if _fires(expression, anchor, moment)]


def _fires(expression: str, anchor: datetime, moment: datetime) -> bool:
    if expression.startswith("@every "):
        passed = round((moment - anchor).total_seconds())
        return passed > 0 and passed % int(expression.removeprefix("@every ").removesuffix("s")) == 0
    field = expression.removesuffix(" * * * * *")
    return field == "*" or moment.second % int(field.removeprefix("*/")) == 0


def cover(name: str, expected: Sequence[datetime], runs: Iterable[datetime], spans: Sequence[Span]) -> Coverage:
    """Each expected fire needs exactly one record, and each record an expected fire."""
    times = Counter(runs)
    found = Coverage(expected=len(expected))
    for span in spans:
        inside = [fire for fire in expected if span.first <= fire <= span.last]
        times.update(inside)
        if len(inside) != span.count:
            found.lost.append(f"{name}: a span from {span.first} counts {span.count} fires of {len(inside)}")
    for fire in expected:
        if times[fire] == 0:
            found.lost.append(f"{name}: the fire of {fire} is covered by nothing")
        elif times[fire] > 1:
            found.twice.append(f"{name}: the fire of {fire} is covered {times[fire]} times")
    known = set(expected)
    found.twice += [f"{name}: a run of {fire}, when nothing was to fire" for fire in times if fire not in known]
    return found
