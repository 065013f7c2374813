"""The folder in which a restore works: the one that holds its target, or the target itself where that is mounted."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from backups.archive.folder import open_folder

_OCTAL = re.compile(r"\\([0-7]{3})")
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def home_of(target: Path) -> Path:
    """A mounted volume can't be exchanged as a whole: there the staging lies inside, and its entries move."""
    return target if target.is_mount() else target.parent


def mounted_volumes() -> list[Path]:
    """Where volumes are mounted in what this process sees."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    # Spaces and the like stand there in octal, as \040.
    return [Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4])) for line in lines]


def open_home(home: Path, target: Path, beneath: Path | None) -> int:
    """A descriptor of ``home``. ``beneath``: the folder that the target must lie in, whatever links an agent has put on
    the way; what holds that folder is not the agent's. Raises an ``ArchiveError``.
    """
    is_inside = beneath is not None and target != beneath.resolve()
    return open_folder(home, beneath=beneath if is_inside else None)


@contextlib.contextmanager
def opened(folder: str, parent: int) -> Iterator[int]:
    """A folder below an open one, itself and no link."""
    descriptor = os.open(folder, FOLDER, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def inode_of(path: str, home: int) -> int:
    return os.stat(path, dir_fd=home, follow_symlinks=False).st_ino
