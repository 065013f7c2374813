"""How soon work starts after it was asked for, on an idle worker."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

# The first ones open connections.
WARM_UP = 5


def sample(ask: Callable[[], object], trace: Path, *, count: int, lines: int = 1) -> list[float]:
    """Milliseconds from asking to the first line that the work wrote; it is over when there are so many lines."""
    taken = []
    for number in range(count + WARM_UP):
        trace.unlink(missing_ok=True)
        asked = time.time()
        ask()
        while not trace.exists() or trace.read_text().count("\n") < lines:
            time.sleep(0.001)
        if number >= WARM_UP:
            taken.append((float(trace.read_text().split()[0]) - asked) * 1000)
        time.sleep(0.02)
    return taken


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else values[0]
