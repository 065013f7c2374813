"""Gzip in a thread of its own, so that reading the next files does not wait for it.

What comes out is gzip for every program. It has members, as the format allows: one for the tree, one for the manifest,
and an empty one that says where the manifest begins, so that it can be read without the tree (``footer``).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from backups.archive.footer import footer
from backups.archive.gzipcodec import compressor

#: What is compressed at once; larger pieces fall out of the processor's cache.
PIECE = 256 * 1024
#: Pieces that wait for the thread. With those, memory is bounded whatever the archive's size.
_AHEAD = 8
_NEXT_MEMBER: Final = b""

Sink = Callable[[bytes], None]


class GzipWriter:
    """``write`` hands over; ``sink`` gets the bytes of the archive, in order, in the thread.

    What fails in the thread is raised by the next ``write`` or ``finish``. ``size`` is that of what
    came out so far.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._gzip = compressor()
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._failure: BaseException | None = None
        self._is_over = False
        self._manifest_at = 0
        self.size = 0
        self._thread = threading.Thread(target=self._work, name="archive-gzip", daemon=True)
        self._thread.start()

    def write(self, piece: bytes) -> None:
        if piece:
            self._hand_over(piece)

    def next_member(self) -> None:
        """What follows is the manifest."""
        self._hand_over(_NEXT_MEMBER)

    def finish(self) -> None:
        self._raise_failure()
        self._is_over = True  # first: the thread asks for it as soon as it has the sign of the end
        self._pieces.put(None)
        self._thread.join()
        self._raise_failure()

    def _hand_over(self, piece: bytes | None) -> None:
        self._raise_failure()
        self._pieces.put(piece)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._failure is None:
                self._try(lambda piece=piece: self._compress(piece))  # type: ignore[misc]
        if self._failure is None and self._is_over:
            self._try(self._end)

    def _try(self, step: Callable[[], None]) -> None:
        """After a failure the rest is taken and dropped, so that nobody waits for room for ever."""
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - raised again where it can be heard
            self._failure = error

    def _compress(self, piece: bytes) -> None:
        if piece is _NEXT_MEMBER:
            self._end_member()
            self._manifest_at = self.size
            self._gzip = compressor()
        else:
            self._put(self._gzip.compress(piece))

    def _end_member(self) -> None:
        self._put(self._gzip.flush())

    def _end(self) -> None:
        self._end_member()
        self._put(footer(self._manifest_at))

    def _put(self, data: bytes) -> None:
        if data:
            self.size += len(data)
            self._sink(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The thread ends with this, whatever happened."""
        if not self._is_over:
            self._failure = self._failure or error
            self._pieces.put(None)
            self._thread.join()
