"""An archive from one store to another: it arrives whole and as it was stored, or not at all."""

from __future__ import annotations

import contextlib
import hashlib

from backups.archive.errors import ArchiveDamagedError, NameTakenError
from backups.archive.stores import Hooks, Store
from backups.archive.tarwriter import CHUNK


def transfer(name: str, source: Store, target: Store, *, sha256: str = "", hooks: Hooks | None = None) -> None:
    """Copy an archive and its checksum. One that is there already, by a transfer that was cut off, will do.

    ``sha256``: what it has to be; else what lies beside it says so. Raises ``ArchiveDamagedError`` for another one,
    and ``NameTakenError`` where something else has its name.
    """
    hooks = hooks or Hooks()
    expected = sha256 or source.checksum(name) or ""
    try:
        upload = target.begin(name, hooks)
    except NameTakenError:
        if expected and _is_there(name, source, target) and target.checksum(name) == expected:
            return
        raise
    digest = hashlib.sha256()
    try:
        with contextlib.closing(source.reader(name)) as reader:
            while chunk := reader.read(CHUNK):
                digest.update(chunk)
                upload.write(chunk)
                hooks.on_chunk(0, 0)
        if expected and digest.hexdigest() != expected:
            raise ArchiveDamagedError(
                f"The archive {name} in {source.place} is not what was stored: its SHA-256 is {digest.hexdigest()}, "
                f"it should be {expected}. It was not copied.",
            )
        upload.publish(digest.hexdigest())
    finally:
        upload.abort()


def _is_there(name: str, source: Store, target: Store) -> bool:
    """The archive itself, and as long as it is here: its checksum is published before it."""
    sizes = [{stored.size for stored in store.archives() if stored.name == name} for store in (source, target)]
    return bool(sizes[0]) and sizes[0] == sizes[1]
