"""An archive read once, from its first byte to its last: checked as it goes, compared with its manifest at the end."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from backups.archive.digests import Digest, digest_of
from backups.archive.errors import ArchiveDamagedError, ArchiveUnsafeError
from backups.archive.gzipreader import GzipReader
from backups.archive.heads import Head
from backups.archive.manifest import MOST_LINE, NAME, Manifest, entry_line, is_entry, read_manifest, spool
from backups.archive.rules import Entry, Limits, Rules
from backups.archive.stores import Hooks, Readable
from backups.archive.tarstream import TarStream

#: Of a manifest, beside the lines of the entries.
_MOST_BESIDES = 4 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was read. ``size``: bytes of files, without holes. ``manifest``: None in an archive made without us."""

    entries: int
    size: int
    sha256: str
    compressed: int
    manifest: Manifest | None


class _Hashed:
    """A stream, and the SHA-256 of what was read of it."""

    def __init__(self, stream: Readable) -> None:
        self._stream, self.digest = stream, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data

    def close(self) -> None:
        self._stream.close()


class Reading:
    """Iterate over the entries; of a file, ``content`` yields the stored data. At the end ask ``found``.

    ``decrypted`` makes the archive of an encrypted stream. The SHA-256 is of the stream as it is stored.

    Raises ``ArchiveDamagedError`` and ``ArchiveUnsafeError``; what was read before one of them is not to be trusted.
    """

    def __init__(
        self,
        stream: Readable,
        *,
        top: str,
        limits: Limits | None = None,
        hooks: Hooks | None = None,
        decrypted: Callable[[Readable], Readable] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._hooks = hooks or Hooks()
        self._stored = _Hashed(stream)
        self._plain_stream: Readable = decrypted(self._stored) if decrypted else self._stored
        self._gzip = GzipReader(self._plain_stream, limits)
        self._tar = TarStream(self._piece)
        self._rules = Rules(limits, top)
        self._lines = spool()
        self._manifest: IO[bytes] | None = None
        self._digest: Digest | None = None
        self._plain = 0

    def __iter__(self) -> Iterator[tuple[Head, Entry]]:
        for head in self._tar:
            if self._manifest is not None:
                raise ArchiveUnsafeError("The archive goes on behind its manifest: it was made to do harm.")
            if head.name == NAME and head.kind == "file":
                self._keep_manifest()
                continue
            entry = self._rules.check(head)
            self._digest = digest_of(head, self._alive)
            yield head, entry
            for _ in self.content():
                pass
            self._lines.write(entry_line(head, self._digest.hexdigest()))

    def content(self) -> Iterator[bytes | memoryview]:
        """The stored data of the last entry, all of it or what is left."""
        digest = self._digest
        for part in self._tar.content():
            if digest is not None:
                digest.update(part)
            yield part

    def found(self) -> Found:
        """After the last entry. Reads to the end and compares with the manifest, where there is one."""
        self._gzip.drain()
        if not self._rules.entries:
            raise ArchiveDamagedError("The archive is empty.")
        return Found(
            entries=self._rules.entries,
            size=self._rules.size,
            sha256=self._stored.digest.hexdigest(),
            compressed=self._gzip.compressed,
            manifest=self._compared(self._manifest) if self._manifest is not None else None,
        )

    def take_lines(self) -> IO[bytes]:
        """What was found, as a manifest's lines of entries; the caller closes it."""
        lines, self._lines = self._lines, spool()
        lines.seek(0)
        return lines

    def _piece(self) -> bytes:
        piece = self._gzip.piece()
        self._plain += len(piece)
        self._alive()
        return piece

    def _alive(self) -> None:
        self._hooks.on_chunk(self._plain, 0)

    def _keep_manifest(self) -> None:
        self._manifest = spool()
        most = self._lines.tell() + _MOST_BESIDES
        for part in self._tar.content():
            self._manifest.write(part)
            if self._manifest.tell() > most:
                raise ArchiveUnsafeError("The archive's manifest is longer than its entries can be.")

    def _compared(self, manifest: IO[bytes]) -> Manifest:
        """Line by line: both are in the archive's order."""
        self._lines.seek(0)
        manifest.seek(0)
        for line in iter(lambda: manifest.readline(MOST_LINE), b""):
            if is_entry(line) and line != (found := self._lines.readline()):
                raise _differs(found or line)
        if more := self._lines.readline():
            raise _differs(more)
        manifest.seek(0)
        return read_manifest(manifest)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.closing(self._plain_stream), self._gzip:
            self._lines.close()
            if self._manifest is not None:
                self._manifest.close()


def _differs(line: bytes) -> ArchiveDamagedError:
    return ArchiveDamagedError(
        f"The archive and its manifest do not agree: {line[:300].decode(errors='replace').strip()}. Take another one.",
    )
