"""Executors are found by discovery: every concrete class in an installed app's ``executors`` package."""

from __future__ import annotations

from functools import cache
from typing import Any

from fleet.discovery import discover
from fleet.errors import InvalidInput
from fleet.names import near
from schedules.executors.base import Executor

# One queue for each kind of work: a long backup never keeps a chat prompt waiting.
QUEUES = ("containers", "backups", "sessions", "agents", "scans", "housekeeping")


class DuplicateExecutor(RuntimeError):
    """Two executors have one key: which would run is anybody's guess, so nothing starts."""


@cache
def executors() -> dict[str, Executor[Any]]:
    """All executors by key. Raises :class:`DuplicateExecutor`."""
    found: dict[str, Executor[Any]] = {}
    for cls in discover("executors", Executor):  # type: ignore[type-abstract]
        if cls.key in found:
            raise DuplicateExecutor(f"{cls.key}: both {type(found[cls.key]).__module__} and {cls.__module__}")
        found[cls.key] = cls()
    return dict(sorted(found.items()))


def executor_of(key: str) -> Executor[Any]:
    """The executor of this key. Raises :class:`InvalidInput` with a near name."""
    known = executors()
    if key not in known:
        raise InvalidInput(
            f"There is no executor named {key!r}.{near(key, known)} Executors are: {', '.join(known)}.",
            field="executor",
        )
    return known[key]
