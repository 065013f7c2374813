"""Folders for what is only needed while a task works: private, and swept when their process is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder of mode 0700 in Watchbill's own data; gone after the block. Those of dead processes go first."""
    home = Path(settings.WATCHBILL.data_dir) / "scratch"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(home):
        # Nobody sweeps between the making of a folder and its lock.
        _sweep(home)
        folder = Path(tempfile.mkdtemp(dir=home))
        lock = _lock(folder)
    try:
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    for folder in home.iterdir():
        with contextlib.suppress(OSError), _locked(folder, fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, flags: int = 0) -> Iterator[None]:
    lock = _lock(folder, flags)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, flags: int = 0) -> int:
    """Held until the descriptor that it answers is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
