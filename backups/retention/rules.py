"""Rules of keeping: a number, an age, or grandfathers: the newest of each hour, day, week and month.

An archive that was not verified counts for nothing: it never takes the place of one that was, and goes once a younger
good one is there and no rule would still want its age. The last good archive never goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from backups.retention.copies import Copy, Verdict, newest_first

_MOST = 1000
#: Damaged archives that stay for whoever wants to save something from them.
_MOST_DAMAGED = 3
_PERIODS: dict[str, tuple[Callable[[datetime], str], timedelta]] = {
    "hourly": (lambda moment: f"{moment:%Y-%m-%d %H}h", timedelta(hours=1)),
    "daily": (lambda moment: f"{moment:%Y-%m-%d}", timedelta(days=1)),
    "weekly": (lambda moment: f"{moment:%G-W%V}", timedelta(days=7)),
    "monthly": (lambda moment: f"{moment:%Y-%m}", timedelta(days=28)),
}


class Rules(BaseModel):
    """``last``: the newest so many; ``days``: all of the last so many; the others: the newest of each of the last so
    many hours, days, weeks, months in UTC that have one. What any rule wants stays; without a rule, everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    last: int = Field(default=0, ge=0, le=_MOST)
    days: int = Field(default=0, ge=0, le=3660)
    hourly: int = Field(default=0, ge=0, le=_MOST)
    daily: int = Field(default=0, ge=0, le=_MOST)
    weekly: int = Field(default=0, ge=0, le=_MOST)
    monthly: int = Field(default=0, ge=0, le=_MOST)

    @property
    def is_empty(self) -> bool:
        return not any(self.model_dump().values())

    def described(self) -> str:
        """``the last 5; of 30 days; daily 7``."""
        words = {"last": "the last {}", "days": "those of {} days"}
        told = [words.get(name, name + " {}").format(value) for name, value in self.model_dump().items() if value]
        return "; ".join(told) or "all"


def verdicts(copies: list[Copy], rules: Rules, *, now: datetime) -> list[Verdict]:
    """One for each copy, the newest first."""
    ordered = newest_first(copies)
    good = [copy for copy in ordered if copy.is_good]
    reasons: dict[int, list[str]] = {copy.id: [] for copy in ordered}
    for copy, reason in _wanted(good, rules, now):
        reasons[copy.id].append(reason)
    if good and not reasons[good[0].id]:
        reasons[good[0].id].append("the last good one")
    oldest = min((copy.until for copy in good if reasons[copy.id]), default=None)
    damaged = 0
    for copy in ordered:
        damaged += copy.is_damaged
        many = copy.is_damaged and damaged > _MOST_DAMAGED
        if not copy.is_good and (reason := _spared(copy, good, oldest, many=many)):
            reasons[copy.id].append(reason)
    gone = f"not among {rules.described()}"
    return [
        Verdict(copy=copy, is_kept=bool(reasons[copy.id]), why=tuple(reasons[copy.id]) or (gone,)) for copy in ordered
    ]


def _wanted(good: list[Copy], rules: Rules, now: datetime) -> Iterator[tuple[Copy, str]]:
    if rules.is_empty:
        yield from ((copy, "no rule") for copy in good)
    for rank, copy in enumerate(good[: rules.last], start=1):
        yield copy, f"last {rank} of {rules.last}"
    for copy in good:
        if rules.days and now - copy.until <= timedelta(days=rules.days):
            yield copy, f"of the last {rules.days} days"
    for period in _PERIODS:
        yield from _grandfathers(good, period, getattr(rules, period))


def _grandfathers(good: list[Copy], period: str, most: int) -> Iterator[tuple[Copy, str]]:
    """The newest copy of each of the last ``most`` periods that have one. A copy stands for all that it spans."""
    label, step = _PERIODS[period]
    taken: set[str] = set()
    for copy in good:
        for moment in _moments(copy, step):
            if len(taken) >= most:
                return
            if (name := label(moment)) not in taken:
                taken.add(name)
                yield copy, f"{period}: {name}"


def _moments(copy: Copy, step: timedelta) -> Iterator[datetime]:
    """From the last moment that a copy stands for back to its first one, each period met at least once."""
    moment, since = copy.until.astimezone(UTC), copy.since.astimezone(UTC)
    while moment > since:
        yield moment
        moment -= step
    yield since


def _spared(copy: Copy, good: list[Copy], oldest: datetime | None, *, many: bool) -> str:
    """Why one that is not good stays for now; empty: it does not. ``many``: enough younger damaged ones are there."""
    if copy.is_damaged and good:
        return "" if many else f"damaged, and one of the newest {_MOST_DAMAGED} of these"
    if not good or copy.until >= good[0].until:
        return "not verified, and no younger one is"
    if oldest is not None and copy.until >= oldest:
        return "not verified, and no older than those that stay"
    return ""
