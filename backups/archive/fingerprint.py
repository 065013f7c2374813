"""What tells two states of a folder apart without reading it: names, inodes, sizes, modes, owners and times.

The kernel sets a file's change time (ctime) at each write, and no program can set it back. Its clock ticks every few
milliseconds though: a file that was written just before it was read may be written again within the same tick.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time

#: Seconds that must lie between the last change and the look; generous, for clocks of file servers.
_SETTLED = 2.0
_SECOND = 10**9


class Fingerprint:
    """Of the entries that were added, in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._began = time.time_ns()
        self._newest = 0
        self._is_settled = True

    def add(self, name: str, status: os.stat_result) -> None:
        self._newest = max(self._newest, status.st_ctime_ns)
        self._digest.update(
            b"%s\0%d %d %d %d %d %d %d %d\n"
            % (
                os.fsencode(name),
                status.st_dev,
                status.st_ino,
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_size if not _is_folder(status) else 0,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
        )

    def unsettled(self) -> None:
        """Something changed while it was looked at."""
        self._is_settled = False

    @property
    def value(self) -> str:
        """Empty when an equal one would prove nothing: something changed just before, or meanwhile."""
        if not self._is_settled or self._newest > self._began - _SETTLED * _SECOND:
            return ""
        return self._digest.hexdigest()


def _is_folder(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)
