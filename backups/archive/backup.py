"""Making one archive and keeping the newest few."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.archive.errors import ArchiveError, NameTakenError
from backups.archive.naming import archive_name
from backups.archive.stores import Hooks, Store
from backups.archive.tarwriter import Packed, TarWriter

#: Tries at a name. Losers wait for different whole seconds, so that a second or third try wins.
_TRIES = 8
_LONGEST_WAY = 4
_NAP = 0.1

Pack = Callable[[TarWriter], None]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A published archive. ``warning`` tells why old ones could not be pruned; it never undoes a backup."""

    name: str
    size: int
    sha256: str
    packed: Packed
    pruned: tuple[str, ...]
    warning: str


def make_archive(store: Store, pack: Pack, *, keep: int, hooks: Hooks | None = None) -> Made:
    """Let ``pack`` write an archive into ``store``, then prune. ``pack`` may be called twice."""
    hooks = hooks or Hooks()
    taken: set[str] = set()
    losses = 0
    while True:
        name = _free_name(store, taken, hooks)
        try:
            writer = _upload(store, name, pack, hooks)
        except NameTakenError:
            taken.add(name)
            losses += 1
            if losses >= _TRIES:
                raise
            _give_way(hooks)
            continue
        pruned, warning = prune(store, keep=keep, newest=name)
        return Made(
            name=name,
            size=writer.size,
            sha256=writer.sha256,
            packed=writer.packed,
            pruned=pruned,
            warning=warning,
        )


def _upload(store: Store, name: str, pack: Pack, hooks: Hooks) -> TarWriter:
    upload = store.begin(name, hooks)
    try:
        with TarWriter(upload.write, hooks) as writer:
            pack(writer)
        upload.publish(writer.sha256)
    finally:
        upload.abort()
    return writer


def _free_name(store: Store, taken: set[str], hooks: Hooks) -> str:
    """The name of this second, or of the first later one that nobody has."""
    while (name := archive_name(datetime.now(UTC))) in taken or store.exists(name):
        taken.add(name)
        _wait(_NAP, hooks)
    return name


def _give_way(hooks: Hooks) -> None:
    """Two that started in the same second must not meet again in the next one."""
    _wait(float(secrets.randbelow(_LONGEST_WAY)), hooks)


def _wait(seconds: float, hooks: Hooks) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        hooks.on_wait()
        time.sleep(min(left, _NAP))


def prune(store: Store, *, keep: int, newest: str) -> tuple[tuple[str, ...], str]:
    """Delete all but the newest ``keep`` by name, and never ``newest``. Answers what went, and a warning."""
    pruned: list[str] = []
    try:
        surplus = [archive.name for archive in store.archives()[keep:] if archive.name != newest]
        for name in surplus:
            store.delete(name)
            pruned.append(name)
    except ArchiveError as error:
        return tuple(pruned), f"Old archives could not be pruned: {error}"
    return tuple(pruned), ""
