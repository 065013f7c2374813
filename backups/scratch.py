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
    _sweep(home)
    folder = Path(tempfile.mkdtemp(dir=home))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    for folder in home.iterdir():
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
