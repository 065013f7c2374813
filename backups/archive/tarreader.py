"""Reading tar streams of others: Python's parser, kept from what a made-up archive could do to it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from backups.archive.errors import ArchiveUnsafeError
from backups.archive.stores import Readable

#: Long names and attributes are read into memory as a whole.
MOST_HEADER_BYTES = 1024 * 1024
_BUFFER = 512 * 512
_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class _Member(tarfile.TarInfo):
    def _proc_member(self, tarfile_: tarfile.TarFile) -> Any:
        """The hook that ``tarfile`` offers to subclasses: every header passes here before it is used."""
        if self.size < 0:
            raise ArchiveUnsafeError("The archive holds an entry of negative size: it was made to do harm.")
        if self.type in _HEADERS and self.size > MOST_HEADER_BYTES:
            raise ArchiveUnsafeError("The archive holds a name or attribute of more than 1 MiB.")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise _sparse()
        return super()._proc_member(tarfile_)  # type: ignore[misc]

    def _refuse_sparse(self, *_: Any) -> None:
        raise _sparse()

    # The three forms in which extended headers announce a sparse file: a few bytes that become a disk full.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def _sparse() -> ArchiveUnsafeError:
    return ArchiveUnsafeError("The archive holds a sparse file, which ours never do. Make it anew without --sparse.")


def members(stream: Readable) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The entries of an uncompressed tar stream in order; read one's content before taking the next.

    ``tarfile.TarError`` and ``EOFError`` pass: only the caller knows whether the stream is an archive or a
    container's answer.
    """
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member, bufsize=_BUFFER) as tar:  # type: ignore[call-overload]
        while (member := tar.next()) is not None:
            tar.members.clear()  # or a stream of a million entries fills the memory
            yield tar, member


def clean_path(name: str) -> PurePosixPath:
    """An entry's path, or a refusal: absolute, upward and unprintable ones have no place below a folder."""
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts or not path.parts:
        raise ArchiveUnsafeError(f"The archive holds the name {name[:200]!r}, which leads out of its folder.")
    return path
