"""Executors are found by discovery: every concrete class in an installed app's ``executors`` package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

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
    for cls in _executor_classes():
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


def _executor_classes() -> Iterator[type[Executor[Any]]]:
    for module in _executor_modules():
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Executor) and not inspect.isabstract(cls) and cls.__module__ == module.__name__:
                yield cls


def _executor_modules() -> Iterator[ModuleType]:
    for config in apps.get_app_configs():
        if not config.module or not module_has_submodule(config.module, "executors"):
            continue
        package = importlib.import_module(f"{config.name}.executors")
        for info in pkgutil.iter_modules(getattr(package, "__path__", [])):
            yield importlib.import_module(f"{package.__name__}.{info.name}")
