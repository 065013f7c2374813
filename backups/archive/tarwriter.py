"""An archive as it is written: entries in, compressed bytes out, the manifest at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

from backups.archive.digests import digest_of
from backups.archive.gzipwriter import PIECE, GzipWriter
from backups.archive.heads import BLOCK, Head, encode, padding
from backups.archive.manifest import NAME, About, ManifestWriter, entry_line
from backups.archive.stores import Hooks

#: Bytes of a file that are read at once.
CHUNK = 256 * 1024
#: Notes that are kept word for word; the rest is only counted.
_NOTES = 100


@dataclass
class Packed:
    """What went into an archive: its entries, what is not as it was found on disk, and what its kind has to tell."""

    entries: int = 0
    read: int = 0
    skipped: int = 0
    changed: int = 0
    notes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def note(self, text: str, *, skipped: bool = False) -> None:
        self.skipped += skipped
        self.changed += not skipped
        self.remark(text)

    def remark(self, text: str) -> None:
        """Something to know of, although nothing was skipped and nothing changed."""
        if len(self.notes) < _NOTES:
            self.notes.append(text)


class TarWriter:
    """``size`` is final after the ``with`` block; ``sink`` is called in another thread."""

    def __init__(self, sink: Callable[[bytes], None], hooks: Hooks, about: About | None = None) -> None:
        self._hooks, self.about = hooks, about or About()
        self._gzip = GzipWriter(sink)
        self._manifest = ManifestWriter(self.about)
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self.packed = Packed()

    @property
    def size(self) -> int:
        return self._gzip.size

    def add(self, head: Head, content: Iterable[bytes] = ()) -> None:
        """``content`` yields exactly ``head.stored`` bytes: what lies between the holes."""
        self._write(encode(head))
        digest = digest_of(head, self._alive)
        for chunk in content:
            digest.update(chunk)
            self.packed.read += len(chunk)
            self._write(chunk)
        self._write(padding(head.stored))
        self._manifest.entry(entry_line(head, digest.hexdigest()))
        self.packed.entries += 1

    def manifest_lines(self) -> IO[bytes]:
        """What the manifest holds so far; to be read at once."""
        return self._manifest.content()

    def _alive(self) -> None:
        self._hooks.on_chunk(self.packed.read, self._gzip.size)

    def _write(self, data: bytes) -> None:
        """Small pieces are gathered: handing over costs more than compressing them."""
        self._waiting.append(data)
        self._waiting_size += len(data)
        if self._waiting_size >= PIECE:
            self._flush()

    def _flush(self) -> None:
        self._gzip.write(b"".join(self._waiting))
        self._waiting.clear()
        self._waiting_size = 0
        self._alive()

    def _end(self) -> None:
        self._flush()
        self._gzip.next_member()
        packed, manifest = self.packed, self._manifest
        counts = {"entries": packed.entries, "bytes": packed.read, "skipped": packed.skipped, "changed": packed.changed}
        manifest.end(**counts, notes=packed.notes, extra=packed.extra)
        self._write(encode(Head(name=NAME, kind="file", mode=0o600, size=manifest.size)))
        content = manifest.content()
        while chunk := content.read(CHUNK):
            self._write(chunk)
        self._write(padding(manifest.size) + bytes(2 * BLOCK))
        self._flush()
        self._gzip.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._gzip:
            try:
                if error is None:
                    self._end()
            finally:
                self._manifest.close()
