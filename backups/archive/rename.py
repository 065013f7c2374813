"""Linux's ``renameat2``: exchange two folders, or rename without overwriting, in one step."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCHANGE = 2
#: What a kernel, C library or file system answers that does not know the call or the flag.
_UNKNOWN = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def _renameat2(old: Path, new: Path, flags: int) -> bool:
    """False where the call is not known; raises ``OSError`` for any other failure."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), str(new))


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders of one file system; nobody ever sees one of them missing. False: not possible here."""
    return _renameat2(one, other, _EXCHANGE)


def rename_new(old: Path, new: Path) -> bool:
    """Rename, or raise ``FileExistsError``. False: not possible here."""
    return _renameat2(old, new, _NOREPLACE)


def sync_folder(folder: Path) -> None:
    """A new name survives a power cut only after its folder was synced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
