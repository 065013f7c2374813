"""Making one archive and keeping the newest few."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.archive.errors import ArchiveError, NameTakenError
from backups.archive.manifest import About
from backups.archive.naming import archive_name, kind_of
from backups.archive.stores import Hooks, Store
from backups.archive.tarwriter import Packed, TarWriter

#: Tries at a name. Losers wait for different whole seconds, so that a second or third try wins.
_TRIES = 8
_LONGEST_WAY = 4
_NAP = 0.1

Pack = Callable[[TarWriter], str]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A published archive. ``warning`` tells why old ones could not be pruned; it never undoes a backup."""

    name: str
    size: int
    sha256: str
    packed: Packed
    fingerprint: str
    pruned: tuple[str, ...]
    warning: str


def make_archive(
    store: Store,
    pack: Pack,
    *,
    keep: int | None = None,
    about: About | None = None,
    hooks: Hooks | None = None,
) -> Made:
    """Let ``pack`` write an archive into ``store``, then prune to the newest ``keep`` of its kind (None: do not).

    ``pack`` may be called twice; it answers a fingerprint of what it packed, or an empty text.
    """
    hooks, about = hooks or Hooks(), about or About()
    taken: set[str] = set()
    losses = 0
    while True:
        name = _free_name(store, about, taken, hooks)
        try:
            writer, fingerprint = _upload(store, name, pack, about, hooks)
        except NameTakenError:
            taken.add(name)
            losses += 1
            if losses >= _TRIES:
                raise
            _give_way(hooks)
            continue
        pruned, warning = prune(store, keep=keep, newest=name) if keep is not None else ((), "")
        return Made(
            name=name,
            size=writer.size,
            sha256=writer.sha256,
            packed=writer.packed,
            fingerprint=fingerprint,
            pruned=pruned,
            warning=warning,
        )


def _upload(store: Store, name: str, pack: Pack, about: About, hooks: Hooks) -> tuple[TarWriter, str]:
    upload = store.begin(name, hooks)
    try:
        with TarWriter(upload.write, hooks, about) as writer:
            fingerprint = pack(writer)
        upload.publish(writer.sha256)
    finally:
        upload.abort()
    return writer, fingerprint


def _free_name(store: Store, about: About, taken: set[str], hooks: Hooks) -> str:
    """The name of this second, or of the first later one that nobody has."""
    while (name := archive_name(datetime.now(UTC), about.kind)) in taken or store.exists(name):
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
    """Delete all but the newest ``keep`` of its kind, and never ``newest``. Answers what went, and a warning."""
    pruned: list[str] = []
    try:
        names = [archive.name for archive in store.archives() if kind_of(archive.name) == kind_of(newest)]
        surplus = [name for name in names[keep:] if name != newest]
        for name in surplus:
            store.delete(name)
            pruned.append(name)
    except ArchiveError as error:
        return tuple(pruned), f"Old archives could not be pruned: {error}"
    return tuple(pruned), ""
