"""A tar stream of somebody else (Docker's, of a path in a container) made into an archive of ours."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

from backups.archive.errors import SourceBrokenError, SourceMissingError
from backups.archive.naming import TOP
from backups.archive.stores import Readable
from backups.archive.tarreader import clean_path, members
from backups.archive.tarwriter import CHUNK, TarWriter

_KEPT = {tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE}


class ChunkReader:
    """An iterator of byte chunks as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    def close(self) -> None:
        self._rest = memoryview(b"")


def pack_tar(stream: Readable, writer: TarWriter) -> None:
    """Copy every entry of the stream; its top folder, whatever its name, becomes ``workspace/``."""
    entries = writer.packed.entries
    try:
        for tar, member in members(stream):
            if writer.packed.entries == entries and not member.isdir():
                raise SourceMissingError("The path in the container is not a folder. Name the workspace's folder.")
            _copy(tar, member, writer)
    except (tarfile.TarError, EOFError) as error:
        raise SourceBrokenError(f"The container's stream ended too early ({error}). Try again.") from error
    if writer.packed.entries == entries:
        raise SourceBrokenError("The container sent nothing. Check that the path exists in it, then try again.")


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, writer: TarWriter) -> None:
    member.name = _renamed(member.name)
    if member.type not in _KEPT:
        writer.packed.note(f"{member.name}: a FIFO or device, left out", skipped=True)
        return
    if member.islnk():
        member.linkname = _renamed(member.linkname)
    content = tar.extractfile(member) if member.isreg() else None
    member.pax_headers = {}  # the sender's; ours are made anew from the values
    writer.add(member, _chunks(content, member.size) if content else None)


def _renamed(name: str) -> str:
    return str(PurePosixPath(TOP, *clean_path(name).parts[1:]))


def _chunks(content: IO[bytes], size: int) -> Iterator[bytes]:
    left = size
    while left:
        chunk = content.read(min(left, CHUNK))
        if not chunk:
            raise tarfile.ReadError("unexpected end of data")
        left -= len(chunk)
        yield chunk
