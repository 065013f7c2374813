"""The data folder: made, checked, and held by one watch at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from config.watch import envfile
from config.watch.errors import LaunchError
from config.watch.terminal import shown

LOCK = "watch.lock"
_OTHERS = 0o077


class DataFolder:
    """The folder of one watch, locked for as long as this object lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _make(path)
        self._lock = _hold(path)

    @property
    def env_file(self) -> Path:
        return self.path / envfile.NAME

    def log(self, name: str) -> Path:
        return self.part("log") / f"{name}.log"

    def part(self, name: str) -> Path:
        """A folder of its own below the data folder."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def close(self) -> None:
        os.close(self._lock)


def _make(path: Path) -> None:
    try:
        if path.exists() and not path.is_dir():
            raise LaunchError(
                f"The data folder {shown(path)} is a file. Move it away, or name a folder: WATCHBILL_DATA=… make run"
            )
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(path)
    except OSError as error:
        raise _unusable(path, error) from error


def _make_private(path: Path) -> None:
    """Close the folder to others, unless it is somebody's folder that was named by mistake."""
    if not path.stat().st_mode & _OTHERS:
        return
    if any(path.iterdir()) and not (path / LOCK).exists():
        raise LaunchError(
            f"{shown(path)} is open to other users and holds files that are not a watch's. "
            "Name an empty or a new folder: WATCHBILL_DATA=… make run"
        )
    path.chmod(0o700)


def _hold(path: Path) -> int:
    """Take the lock of the folder, or say who has it. The kernel frees it when this process ends, however."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        where = envfile.read(path / envfile.NAME).get("WATCHBILL_URL", "its terminal's address")
        raise LaunchError(
            f"A watch already runs on {shown(path)} (pid {owner}, {where}). End it with Ctrl-C there, "
            "or start another one: WATCHBILL_DATA=other PORT=8001 make run"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _unusable(path: Path, error: OSError) -> LaunchError:
    return LaunchError(
        f"The data folder {shown(path)} cannot be used: {error.strerror}. "
        "Mend it, or name another one: WATCHBILL_DATA=… make run"
    )
