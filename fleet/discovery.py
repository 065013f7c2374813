"""Finding what apps offer: executors, subcommands, status checks. A new one is a new file, nothing else."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

from django.apps import apps
from django.utils.module_loading import module_has_submodule

T = TypeVar("T")


def discover(room: str, base: type[T]) -> Iterator[type[T]]:
    """Every concrete subclass of ``base`` defined in the ``room`` (``executors``, ``console.job``) of an installed app.

    A room is a package, whose modules are searched, or a single module.
    """
    for module in _modules(room):
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, base) and not inspect.isabstract(cls) and cls.__module__ == module.__name__:
                yield cls


def _modules(room: str) -> Iterator[ModuleType]:
    for config in apps.get_app_configs():
        module = config.module
        for step in room.split("."):
            if module is None or not module_has_submodule(module, step):
                module = None
                break
            module = importlib.import_module(f"{module.__name__}.{step}")
        if module is None:
            continue
        yield module
        for info in pkgutil.iter_modules(getattr(module, "__path__", [])):
            yield importlib.import_module(f"{module.__name__}.{info.name}")
