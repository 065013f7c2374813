"""Gunzip in a thread of its own, ahead of whoever reads the entries, and the limit of what comes out."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Self

from backups.archive.errors import ArchiveDamagedError, ArchiveUnsafeError
from backups.archive.gzipcodec import BROKEN, decompressor
from backups.archive.rules import Limits
from backups.archive.stores import Readable

_COMPRESSED = 256 * 1024
_PIECE = 512 * 1024
_AHEAD = 8
_MAGIC = b"\x1f"


class GzipReader:
    """The archive's plain bytes. ``compressed``: bytes read so far; after ``drain`` the whole archive's.

    ``stream`` is read to its end in the thread and not closed. What fails there is raised by ``piece``.
    """

    def __init__(self, stream: Readable, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._pieces: queue.Queue[bytes] = queue.Queue(_AHEAD)
        self._failure: BaseException | None = None
        self._is_over = self._is_left = False
        self._plain = 0
        self.compressed = 0
        self._thread = threading.Thread(target=self._work, name="archive-gunzip", daemon=True)
        self._thread.start()

    def piece(self) -> bytes:
        """The next bytes, some; empty at the end."""
        if self._is_over:
            return b""
        piece = self._pieces.get()
        if not piece:
            self._is_over = True
            if self._failure is not None:
                raise self._failure
        return piece

    def drain(self) -> None:
        """To the end: only there does gzip compare its own checksum."""
        while self.piece():
            pass

    def _work(self) -> None:
        try:
            self._inflate()
        except BROKEN as error:
            self._failure = ArchiveDamagedError(
                f"The archive is damaged: within its first {self.compressed:,} bytes are some that are not what was "
                f"written ({error})."
            )
        except BaseException as error:  # noqa: BLE001 - raised where the pieces are read
            self._failure = error
        self._pieces.put(b"")

    def _inflate(self) -> None:
        """Member after member. An archive that ends inside of one is cut."""
        data = self._read()
        if not data:
            raise ArchiveDamagedError("The archive is empty.")
        while data and not self._is_left:
            if not data.startswith(_MAGIC):
                raise ArchiveDamagedError("The archive is damaged: it holds bytes that are no gzip where one begins.")
            member = decompressor()
            while not member.eof and not self._is_left:
                data = member.unconsumed_tail or data or self._read()
                if not data:
                    raise ArchiveDamagedError("The archive is cut: it ends in the middle.")
                self._put(member.decompress(data, _PIECE))
                data = b""
            data = member.unused_data or self._read()

    def _read(self) -> bytes:
        data = self._stream.read(_COMPRESSED)
        self.compressed += len(data)
        return data

    def _put(self, piece: bytes) -> None:
        self._plain += len(piece)
        most = max(self._limits.free, self.compressed * self._limits.ratio)
        if self._plain > min(self._limits.size, most):
            raise ArchiveUnsafeError(
                f"The archive decompresses to more than {min(self._limits.size, most):,} bytes, far beyond what its "
                "size tells. If you trust it: --trust-size.",
            )
        if piece:
            self._pieces.put(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The thread ends with this, whatever happened."""
        self._is_left = True
        while not self._is_over and self._pieces.get():
            pass
        self._is_over = True
        self._thread.join()
