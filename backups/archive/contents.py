"""What an archive holds, by name: from its manifest alone where that can be reached, else by reading all of it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from backups.archive.errors import ArchiveDamagedError
from backups.archive.footer import SIZE, manifest_offset
from backups.archive.gzipreader import GzipReader
from backups.archive.manifest import MOST_LINE, NAME, Manifest, is_entry, read_manifest, spool
from backups.archive.naming import CHECKSUM_SUFFIX, parse_checksum
from backups.archive.reading import Reading
from backups.archive.rules import Limits
from backups.archive.stores import Readable, Source
from backups.archive.tarstream import TarStream

#: Two million entries.
_MOST_MANIFEST = 1024**3


@dataclass(frozen=True, kw_only=True)
class Contents:
    """``manifest`` is None for an archive that was made without us; ``lines`` are to be closed."""

    manifest: Manifest | None
    lines: IO[bytes]

    def entries(self) -> Iterator[dict[str, Any]]:
        """In the archive's order; ``docs/backups.md`` lists their fields."""
        self.lines.seek(0)
        for line in iter(lambda: self.lines.readline(MOST_LINE), b""):
            if is_entry(line):
                yield json.loads(line)


def contents_of(
    source: Source,
    name: str,
    *,
    size: int,
    top: str,
    limits: Limits | None = None,
    decrypted: Callable[[Readable], Readable] | None = None,
) -> Contents:
    """``size``: bytes of the archive. Raises an ``ArchiveError``."""
    if decrypted is None and (offset := _offset(source, name, size)) is not None:
        with contextlib.suppress(ArchiveDamagedError):
            return _by_manifest(source, name, offset)
    return _by_reading(source, name, top, limits or Limits(), decrypted)


def _offset(source: Source, name: str, size: int) -> int | None:
    with contextlib.closing(source.reader(name, offset=max(0, size - SIZE))) as stream:
        offset = manifest_offset(_all(stream, SIZE))
    return offset if offset is not None and offset < size else None


def _all(stream: Readable, most: int) -> bytes:
    parts = io.BytesIO()
    while parts.tell() < most and (part := stream.read(most - parts.tell())):
        parts.write(part)
    return parts.getvalue()


def _by_manifest(source: Source, name: str, offset: int) -> Contents:
    lines = spool()
    with contextlib.closing(source.reader(name, offset=offset)) as stream, GzipReader(stream, Limits()) as gunzip:
        tar = TarStream(gunzip.piece)
        head = next(iter(tar), None)
        if head is None or head.name != NAME:
            raise ArchiveDamagedError("There is no manifest where the archive's end says.")
        for part in tar.content():
            lines.write(part)
            if lines.tell() > _MOST_MANIFEST:
                raise ArchiveDamagedError("The manifest is longer than one can be.")
    lines.seek(0)
    return Contents(manifest=read_manifest(lines), lines=lines)


def _by_reading(
    source: Source, name: str, top: str, limits: Limits, decrypted: Callable[[Readable], Readable] | None
) -> Contents:
    with (
        contextlib.closing(source.reader(name)) as stream,
        Reading(stream, top=top, limits=limits, decrypted=decrypted) as reading,
    ):
        for _ in reading:
            pass
        found = reading.found()
        return Contents(manifest=found.manifest, lines=reading.take_lines())


class OneFile:
    """An archive that is a file of this host, whatever its name, as a :class:`Source`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path.parent)

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def reader(self, name: str, *, offset: int = 0) -> Readable:  # noqa: ARG002 - there is but one
        file = self.path.open("rb")
        file.seek(offset)
        return file

    def checksum(self, name: str) -> str | None:  # noqa: ARG002
        with contextlib.suppress(FileNotFoundError):
            return parse_checksum(self.path.with_name(self.path.name + CHECKSUM_SUFFIX).read_bytes())
        return None
