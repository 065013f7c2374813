"""The tiers of seed 001 §4: hot and warm on this host, cold in S3; what moves on, what goes.

An archive moves on when its time in the tier is over, or, the oldest first, when the tier holds more than it may. Out
of the last tier it goes, unless it is the last good one or a rule of its own wants it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from backups.retention.copies import Copy, newest_first

MIB = 1024 * 1024
_MOST = 10**9
Name = Literal["hot", "warm", "cold"]


@dataclass(frozen=True, kw_only=True)
class Hot:
    """``retention_hours`` is ours: the seed gives 24 hours in its table and no key."""

    path: str = "~/.openclaw/backups"
    max_size_mb: int = 500
    max_count: int = 50
    retention_hours: int = 24


@dataclass(frozen=True, kw_only=True)
class Warm:
    path: str = "~/.openclaw/archive"
    max_size_mb: int = 2048
    retention_days: int = 7


@dataclass(frozen=True, kw_only=True)
class Cold:
    enabled: bool = False
    retention_days: int = 30


@dataclass(frozen=True, kw_only=True)
class Tiers:
    """The ``storage`` of the seed's YAML, with its keys and defaults."""

    hot: Hot = Hot()
    warm: Warm = Warm()
    cold: Cold = Cold()


def read_tiers(storage: object) -> Tiers:
    """From the seed's YAML, read. Raises ``ValueError`` with the key, the value and what would do."""
    parts = _fields_of(Tiers(), storage, "storage")
    made = {
        name: replace(getattr(Tiers(), name), **_fields_of(getattr(Tiers(), name), value, f"storage.{name}"))
        for name, value in parts.items()
    }
    return Tiers(**made)


def _fields_of(default: Any, values: object, where: str) -> dict[str, Any]:
    known = {field.name: getattr(default, field.name) for field in fields(default)}
    if not isinstance(values, dict):
        raise ValueError(f"{where} is {values!r}: give a mapping of {', '.join(known)}.")  # noqa: TRY004 - a bad value
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{where}.{name} is not known: there are {', '.join(known)}.")
        _check(f"{where}.{name}", value, known[name])
    return values


def _check(name: str, value: object, default: object) -> None:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}: give true or false.")  # noqa: TRY004 - a bad value
    elif isinstance(default, int):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
            raise ValueError(f"{name} is {value!r}: give a whole number from 1 to {_MOST:,}, such as {default}.")
    elif isinstance(default, str) and not (isinstance(value, str) and value.startswith(("/", "~/"))):
        raise ValueError(f"{name} is {value!r}: give an absolute folder, such as {default}.")


@dataclass(frozen=True, kw_only=True)
class Move:
    """``to`` is empty for an archive that goes for good."""

    copy: Copy
    of: Name
    to: Name | Literal[""]
    why: str


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    age: timedelta
    bytes: int
    count: int
    onward: Name | Literal[""]


def moves(tier: Name, copies: list[Copy], tiers: Tiers, *, kept: Collection[int], now: datetime) -> list[Move]:
    """What leaves the tier, the oldest first. ``kept``: those that may not go for good."""
    bounds = _bounds(tier, tiers)
    ordered = newest_first(copies)
    size, count = sum(copy.size for copy in ordered), len(ordered)
    found: list[Move] = []
    for copy in reversed(ordered):
        why = _reason(copy, bounds, size, count, now)
        if not why or (not bounds.onward and copy.id in kept):
            continue
        found.append(Move(copy=copy, of=tier, to=bounds.onward, why=why))
        size, count = size - copy.size, count - 1
    return found


def _bounds(tier: Name, tiers: Tiers) -> _Bounds:
    endless = 2**62
    if tier == "hot":
        hot = tiers.hot
        return _Bounds(
            age=timedelta(hours=hot.retention_hours), bytes=hot.max_size_mb * MIB, count=hot.max_count, onward="warm"
        )
    if tier == "warm":
        age, onward = timedelta(days=tiers.warm.retention_days), "cold" if tiers.cold.enabled else ""
        return _Bounds(age=age, bytes=tiers.warm.max_size_mb * MIB, count=endless, onward=onward)  # type: ignore[arg-type]
    return _Bounds(age=timedelta(days=tiers.cold.retention_days), bytes=endless, count=endless, onward="")


def _reason(copy: Copy, bounds: _Bounds, size: int, count: int, now: datetime) -> str:
    if now - copy.until > bounds.age:
        return f"older than {_span(bounds.age)}"
    if size > bounds.bytes:
        return f"the tier holds {size // MIB} of {bounds.bytes // MIB} MB"
    if count > bounds.count:
        return f"the tier holds {count} of {bounds.count} archives"
    return ""


def _span(age: timedelta) -> str:
    return f"{age.days} days" if age.days > 1 else f"{age.total_seconds() / 3600:.0f} hours"
