"""A tar stream of somebody else (Docker's, of a path in a container) made into an archive of ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backups.archive.errors import ArchiveDamagedError, SourceBrokenError, SourceMissingError
from backups.archive.heads import Head
from backups.archive.naming import TOP
from backups.archive.rules import clean_path
from backups.archive.tarstream import TarStream
from backups.archive.tarwriter import TarWriter


def pack_tar(chunks: Iterator[bytes], writer: TarWriter, *, top: str = TOP) -> None:
    """Copy every entry of the stream; its top folder, whatever its name, becomes ``top``."""

    def left_out(name: str) -> None:
        writer.packed.note(f"{name}: a FIFO or device, left out", skipped=True)

    def piece() -> bytes:
        return next((chunk for chunk in chunks if chunk), b"")

    entries = writer.packed.entries
    stream = TarStream(piece, leave_out=left_out)
    try:
        for head in stream:
            if writer.packed.entries == entries and head.kind != "folder":
                raise SourceMissingError("The path in the container is not a folder. Name the workspace's folder.")
            if renamed := _renamed(head, top):
                writer.add(renamed, (bytes(part) for part in stream.content()))
    except ArchiveDamagedError as error:
        raise SourceBrokenError(f"The container's stream ended too early ({error}) Try again.") from error
    if writer.packed.entries == entries:
        raise SourceBrokenError("The container sent nothing. Check that the path exists in it, then try again.")


def _renamed(head: Head, top: str) -> Head | None:
    """None for the top itself where the archive has none."""
    name = _below(head.name, top)
    if not name:
        return None
    return replace(head, name=name, link=_below(head.link, top) if head.kind == "hardlink" else head.link)


def _below(name: str, top: str) -> str:
    return "/".join(part for part in (top, *clean_path(name)[1:]) if part)
