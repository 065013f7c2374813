"""Making one archive and keeping the newest few."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from backups.archive.encryption import EncryptingSink
from backups.archive.errors import ArchiveError, NameTakenError
from backups.archive.manifest import About
from backups.archive.naming import archive_name, kind_of
from backups.archive.stores import Hooks, Store
from backups.archive.tarwriter import Packed, TarWriter

#: Tries at a name. Losers wait for different whole seconds, so that a second or third try wins.
_TRIES = 8
_LONGEST_WAY = 4
_NAP = 0.1

Sink = Callable[[bytes], None]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What goes into an archive. ``pack`` may be called twice; it answers a fingerprint of what it packed, or nothing.

    ``encrypted`` makes the sink that encrypts for another sink.
    """

    pack: Callable[[TarWriter], str]
    about: About = field(default_factory=About)
    encrypted: Callable[[Sink], EncryptingSink] | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """A published archive; ``size`` and ``sha256`` are of what is stored.

    ``warning`` tells why old ones could not be pruned; it never undoes a backup.
    """

    name: str
    size: int
    sha256: str
    packed: Packed
    fingerprint: str
    pruned: tuple[str, ...] = ()
    warning: str = ""


def make_archive(store: Store, contents: Contents, *, keep: int | None = None, hooks: Hooks | None = None) -> Made:
    """Write an archive into ``store``, then prune to the newest ``keep`` of its kind (None: do not)."""
    hooks = hooks or Hooks()
    taken: set[str] = set()
    losses = 0
    while True:
        name = _free_name(store, contents, taken, hooks)
        try:
            made = _upload(store, name, contents, hooks)
        except NameTakenError:
            taken.add(name)
            losses += 1
            if losses >= _TRIES:
                raise
            _give_way(hooks)
            continue
        if keep is None:
            return made
        pruned, warning = prune(store, keep=keep, newest=name)
        return replace(made, pruned=pruned, warning=warning)


class _Stored:
    """What is stored, its size and its SHA-256."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self.digest = sink, hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        self._sink(data)


def _upload(store: Store, name: str, contents: Contents, hooks: Hooks) -> Made:
    upload = store.begin(name, hooks)
    try:
        stored = _Stored(upload.write)
        encrypted = contents.encrypted(stored.write) if contents.encrypted else contextlib.nullcontext(stored)
        with encrypted as sink, TarWriter(sink.write, hooks, replace(contents.about, name=name)) as writer:
            fingerprint = contents.pack(writer)
        sha256 = stored.digest.hexdigest()
        upload.publish(sha256)
    finally:
        upload.abort()
    return Made(name=name, size=stored.size, sha256=sha256, packed=writer.packed, fingerprint=fingerprint)


def _free_name(store: Store, contents: Contents, taken: set[str], hooks: Hooks) -> str:
    """The name of this second, or of the first later one that nobody has."""
    while (name := _name(contents)) in taken or store.exists(name):
        taken.add(name)
        _wait(_NAP, hooks)
    return name


def _name(contents: Contents) -> str:
    return archive_name(datetime.now(UTC), contents.about.kind, is_encrypted=contents.encrypted is not None)


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
