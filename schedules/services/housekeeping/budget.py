"""How long a pruning may go on, and how it leaves room for others between its batches."""

from __future__ import annotations

import time

from django.db import connection

from fleet.errors import InvalidInput
from schedules.engine import draining

#: Of one transaction. SQLite has one writer: whoever plans or claims waits for the present batch at most.
BATCH = 100
# Whoever waits for SQLite's only writer looks again after some ten milliseconds; PostgreSQL has room beside us.
SQLITE_PAUSE, SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.001, 0.5
#: A little more than what anybody would want to keep, so that a slip of the finger is refused.
MOST_DAYS = 36_500


class Budget:
    """``minutes`` from now on, half of them in pauses. A worker that drains goes on another time."""

    def __init__(self, *, minutes: float) -> None:
        self._rested = time.monotonic()
        self._end = self._rested + 60 * minutes
        self._shortest = SQLITE_PAUSE if connection.vendor == "sqlite" else SHORTEST_PAUSE

    def goes_on(self) -> bool:
        return time.monotonic() < self._end and not draining.is_draining()

    def pause(self) -> None:
        """After each batch: as long as it took."""
        worked = time.monotonic() - self._rested
        time.sleep(min(max(worked, self._shortest), LONGEST_PAUSE))
        self._rested = time.monotonic()


def checked(**numbers: float) -> None:
    """Refuse what a periodic task was given in the admin and can't be meant. Raises :class:`InvalidInput`."""
    for name, value in numbers.items():
        # A bool is an int to Python, but not to whoever typed it.
        whole = isinstance(value, int) and not isinstance(value, bool)
        most = MOST_DAYS if name == "days" else 10**9
        if not whole or not 1 <= value <= most:
            raise InvalidInput(
                f"{name} must be a whole number from 1 to {most}, not {value!r}. Mend the keyword arguments of the "
                "periodic task (Housekeeping, Periodic tasks).",
                field=name,
            )
