"""What a place for archives can do. Every store passes the same contract suite (``tests/backups``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Handle = Mapping[str, Any]


def nothing(*_: object) -> None:
    """The default of every callback here."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The caller's side of a piece of work; each may raise to end it.

    ``on_chunk(read, written)`` comes per chunk with the bytes so far, ``on_wait()`` every fraction of a
    second while a store is waited for, ``on_handle(handle)`` with what :meth:`Store.reap` needs should this
    process die, and ``before_publish()`` just before the archive becomes visible, the only step that cannot
    be undone.
    """

    on_chunk: Callable[[int, int], None] = nothing
    on_wait: Callable[[], None] = nothing
    on_handle: Callable[[Handle], None] = nothing
    before_publish: Callable[[], None] = nothing


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One archive in a store; ``modified`` is aware, in UTC."""

    name: str
    size: int
    modified: datetime


class Readable(Protocol):
    """A stream of bytes: ``read(n)`` answers at most ``n`` of them, and none at the end."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Upload(Protocol):
    """An archive on its way into a store. Nobody sees it before :meth:`publish`."""

    def write(self, data: bytes) -> None: ...

    def publish(self, sha256: str) -> None:
        """Make archive and checksum visible, or raise ``NameTakenError``; never overwrite."""
        ...

    def abort(self) -> None:
        """Leave nothing behind. Idempotent, never raises, harmless after :meth:`publish`."""
        ...


class Source(Protocol):
    """Where archives are read from."""

    @property
    def place(self) -> str:
        """Where it is, in words for people."""
        ...

    def reader(self, name: str, *, offset: int = 0) -> Readable:
        """An archive's bytes from ``offset`` on; none at its end and behind. Raises ``ArchiveMissingError``."""
        ...

    def checksum(self, name: str) -> str | None:
        """The SHA-256 that was stored beside an archive; None when there is none."""
        ...


class Store(Source, Protocol):
    """A place for the archives of one agent."""

    def archives(self) -> list[Stored]:
        """The archives, newest first."""
        ...

    def exists(self, name: str) -> bool: ...

    def begin(self, name: str, hooks: Hooks) -> Upload:
        """Start an archive, or raise ``NameTakenError``."""
        ...

    def delete(self, name: str) -> None:
        """Delete an archive and its checksum. Raises ``ArchiveMissingError``."""
        ...

    def reap(self, handle: Handle) -> bool:
        """Remove what an upload left behind; True when there was something. Idempotent.

        Raises an ``ArchiveError`` when something is left.
        """
        ...

    def close(self) -> None:
        """Give back connections. Idempotent."""
        ...
