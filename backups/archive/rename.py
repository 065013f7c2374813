"""Linux's ``renameat2``: exchange two names, or rename without overwriting, in one step, through open folders."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_NOREPLACE = 1
_EXCHANGE = 2
#: What a kernel, C library or file system answers that does not know the call or the flag.
_UNKNOWN = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
_AT_FDCWD = -100

#: A name in an open folder.
Place = tuple[int, str]


def _renameat2(old: Place, new: Place, flags: int) -> bool:
    """False where the call is not known; raises ``OSError`` for any other failure."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(old[0], os.fsencode(old[1]), new[0], os.fsencode(new[1]), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), new[1])


def exchange(one: Place, other: Place) -> bool:
    """Swap two names of one file system; nobody ever sees one of them missing. False: not possible here."""
    return _renameat2(one, other, _EXCHANGE)


def rename_new_at(old: Place, new: Place) -> bool:
    """Rename, or raise ``FileExistsError``. False: not possible here."""
    return _renameat2(old, new, _NOREPLACE)


def rename_new(old: Path, new: Path) -> bool:
    """The same, by paths."""
    return rename_new_at((_AT_FDCWD, str(old)), (_AT_FDCWD, str(new)))


def sync_folder(folder: Path) -> None:
    """A new name survives a power cut only after its folder was synced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
