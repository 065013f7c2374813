"""The scheduler's arithmetic: the next fire of a known expression, and a year of a minutely schedule."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from _report import Figure, report

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
ZONE = "America/New_York"
GOAL_NEXT_US, GOAL_YEAR_S = 60.0, 1.0


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from croniter import croniter

    from schedules.timing import parse

    figures = []
    for expression in ("30 2 * * *", "*/5 9-17 * * 1-5", "0 0 29 2 *"):
        ours = median_us(lambda text=expression: parse(text, timezone=ZONE).next_after(NOON))
        peer = median_us(lambda text=expression: croniter(text, NOON).get_next(datetime))
        name = f"next fire of `{expression}`, microseconds"
        figures.append(
            Figure(name, ours, "croniter, fresh parse", peer, f"<= {GOAL_NEXT_US}", met=ours <= GOAL_NEXT_US)
        )
    rule = parse("* * * * *", timezone=ZONE)
    year = median_us(lambda: sum(1 for _ in rule.fires(NOON, NOON + timedelta(days=365))), count=1) / 1e6
    figures.append(
        Figure("a year of a minutely schedule, s", year, "", 0, goal=f"<= {GOAL_YEAR_S}", met=year <= GOAL_YEAR_S)
    )
    report("timing", figures)


def median_us(work: Callable[[], object], *, rounds: int = 5, count: int = 500) -> float:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(count):
            work()
        taken.append((time.perf_counter() - begun) / count * 1e6)
    return median(taken)


if __name__ == "__main__":
    main()
