"""The scheduler's arithmetic: next fires, a year of fires listed and counted, blackouts and jitter."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from _report import Figure, report

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
ZONE = "America/New_York"
GOAL_NEXT_US, GOAL_YEAR_S, GOAL_COUNT_MS, GOAL_TEN_YEARS_MS, GOAL_WINDOW_US = 60.0, 1.0, 5.0, 50.0, 50.0
GOAL_JITTER_US = 10.0

CALENDAR = """\
2026-12-24
2026-12-24..2026-12-26
12-25
12-24..01-02
07-04
sat,sun
mon-fri 22:00-06:00
22:00-06:00
tue 12:00-13:00
2026-12-24T18:00..2026-12-27T08:00
"""


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    report("timing", [*next_fires(), *years(), *blackouts(), jitter()])


def next_fires() -> Iterator[Figure]:
    from croniter import croniter

    from schedules.timing import parse

    for expression in ("30 2 * * *", "*/5 9-17 * * 1-5", "0 0 29 2 *"):
        ours = median_us(lambda text=expression: parse(text, timezone=ZONE).next_after(NOON))
        peer = median_us(lambda text=expression: croniter(text, NOON).get_next(datetime))
        name = f"next fire of `{expression}`, microseconds"
        yield Figure(name, ours, "croniter, fresh parse", peer, f"<= {GOAL_NEXT_US}", met=ours <= GOAL_NEXT_US)


def years() -> Iterator[Figure]:
    from schedules.timing import parse

    minutely, secondly = parse("* * * * *", timezone=ZONE), parse("* * * * * *", timezone=ZONE)
    listed = median_us(lambda: sum(1 for _ in minutely.fires(NOON, NOON + YEAR)), count=1) / 1e6
    yield alone("a year of a minutely schedule, s", listed, GOAL_YEAR_S)
    counted = median_us(lambda: secondly.count(NOON, NOON + YEAR)) / 1e3
    yield alone("count over a year of a secondly schedule, ms", counted, GOAL_COUNT_MS)
    ten = median_us(lambda: minutely.count(NOON, NOON + 10 * YEAR), count=50) / 1e3
    yield alone("count over ten years of a minutely schedule, ms", ten, GOAL_TEN_YEARS_MS)


def blackouts() -> Iterator[Figure]:
    from schedules.timing import parse_blackouts

    moments = {"in none of them": NOON, "in the sixth": datetime(2026, 2, 28, 18, tzinfo=UTC)}
    for where, moment in moments.items():
        taken = median_us(lambda at=moment: parse_blackouts(CALENDAR, timezone=ZONE).window_at(at))
        yield alone(f"window_at of ten lines, {where}, microseconds", taken, GOAL_WINDOW_US)


def jitter() -> Figure:
    from schedules.timing import jittered

    following = NOON + timedelta(hours=1)
    taken = median_us(lambda: jittered(NOON, key="1234", jitter_seconds=600, following=following))
    return alone("jittered, microseconds", taken, GOAL_JITTER_US)


def alone(name: str, value: float, goal: float) -> Figure:
    return Figure(name, value, "", 0, f"<= {goal}", met=value <= goal)


def median_us(work: Callable[[], object], *, rounds: int = 5, count: int = 500) -> float:
    """CPU time: nothing here waits, and what else the machine does is no matter of ours."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(count):
            work()
        taken.append((time.process_time() - begun) / count * 1e6)
    return median(taken)


if __name__ == "__main__":
    main()
