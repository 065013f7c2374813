"""How the databases of an agent grow, by what their former maintenance found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backups.archive.terminal import human_size
from schedules.models import Run

EXECUTOR = "database.maintain"
_NEWEST = 30
_DAY = timedelta(days=1)
#: A weekly job does not run to the second: what is nearly a week ago is a week ago.
WEEK = timedelta(days=6.5)
#: Less tells nothing of a day.
_SHORTEST = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a maintenance left of a database: ``size`` in bytes, ``pages`` of its content."""

    at: datetime
    size: int
    pages: int


@dataclass(frozen=True, kw_only=True)
class Growth:
    """From ``before`` to ``after`` bytes in ``time``."""

    before: int
    after: int
    time: timedelta

    @property
    def bytes_per_day(self) -> float | None:
        """Negative for a database that shrinks; None when the time is too short to tell."""
        return (self.after - self.before) / (self.time / _DAY) if self.time >= _SHORTEST else None

    @property
    def is_of_a_week(self) -> bool:
        return self.time >= WEEK

    def sentence(self, name: str) -> str:
        """``agentx.db grew 12.0 MiB in 7 days``."""
        change = self.after - self.before
        if not change:
            return f"{name} kept its size in {_span(self.time)}"
        return f"{name} {'grew' if change > 0 else 'shrank'} {human_size(abs(change))} in {_span(self.time)}"


def sizes_by_database(*, agent_id: int, folder: str) -> dict[str, list[Size]]:
    """Of each database of this folder, the newest first, from the newest successful runs of the agent's maintenance.

    Runs that are gone, and results that are no longer understood, tell nothing.
    """
    runs = Run.objects.filter(agent=agent_id, executor=EXECUTOR, status=Run.Status.SUCCESS, finished_at__isnull=False)
    sizes: dict[str, list[Size]] = {}
    for finished_at, result in runs.order_by("-created_at").values_list("finished_at", "result")[:_NEWEST]:
        if finished_at is not None and isinstance(result, Mapping) and result.get("folder") == folder:
            for path, size in _sizes(result, finished_at):
                sizes.setdefault(path, []).append(size)
    return sizes


def _sizes(result: Mapping[str, Any], at: datetime) -> list[tuple[str, Size]]:
    try:
        return [
            (str(each["path"]), Size(at=at, size=int(each["size"]), pages=int(each["pages"])))
            for each in result["databases"]
        ]
    except (KeyError, TypeError, ValueError):
        return []


def growth(sizes: Sequence[Size], *, size: int, now: datetime) -> Growth | None:
    """Since a week ago: from the youngest of ``sizes`` that is so old, else from the oldest. None without any."""
    past = sorted((each for each in sizes if each.at < now), key=lambda each: each.at)
    if not past:
        return None
    old = [each for each in past if now - each.at >= WEEK]
    base = old[-1] if old else past[0]
    return Growth(before=base.size, after=size, time=now - base.at)


def _span(time: timedelta) -> str:
    """``7 days``, ``30 hours``, ``5 minutes``."""
    for unit, name in ((_DAY, "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if time >= 2 * unit or name == "minute":
            count = max(1, round(time / unit))
            return f"{count} {name}{'' if count == 1 else 's'}"
    raise AssertionError(time)  # pragma: no cover - the last unit takes all
