"""A library that pulls and pushes by itself, worked from a caller who does both: bounded, and ended at will."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from backups.archive.background import POLL
from backups.archive.errors import EndedEarlyError

#: Bytes that wait on either side of the library.
ROOM = 1024 * 1024
#: What the library writes in small pieces is handed over in pieces of this size.
_PIECE = 128 * 1024


class Codec:
    """Runs ``work(source, target)`` in a thread: it calls ``source.read(n)`` and ``target.write(data)``.

    The caller feeds, takes and rests, in one thread of his own, so that neither his sink nor his source ever
    runs in another. Always :meth:`stop` it, or its thread waits for ever.
    """

    def __init__(self, work: Callable[[Codec, Codec], None]) -> None:
        self._moved = threading.Condition()
        self._inbox: deque[bytes] = deque()
        self._outbox: deque[bytes] = deque()
        self._waiting_in = self._waiting_out = 0
        self._fed_all = self._stopped = False
        self.over = False
        self.error: BaseException | None = None
        # These two belong to the thread.
        self._head = memoryview(b"")
        self._piece = bytearray()
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True, name="archive-codec")
        self._thread.start()

    # What the caller does.

    @property
    def has_room(self) -> bool:
        return self._waiting_in < ROOM

    def feed(self, data: bytes) -> None:
        """Any size; whoever goes on feeding without room decides about the memory himself."""
        if data:
            with self._moved:
                self._inbox.append(data)
                self._waiting_in += len(data)
                self._moved.notify_all()

    def finish(self) -> None:
        """Nothing more will be fed."""
        with self._moved:
            self._fed_all = True
            self._moved.notify_all()

    def take(self) -> bytes:
        """What is ready; nothing when nothing is."""
        with self._moved:
            if not self._outbox:
                return b""
            data = self._outbox.popleft()
            self._waiting_out -= len(data)
            self._moved.notify_all()
            return data

    def check(self) -> None:
        """Raise what ended the work."""
        if self.error is not None:
            raise self.error

    def rest(self) -> None:
        """Wait a moment for something to take, for room, or for the end."""
        with self._moved:
            if not (self._outbox or self.over):
                self._moved.wait(POLL)

    def stop(self) -> None:
        """End the thread, wherever it is, and wait for it. Idempotent."""
        with self._moved:
            self._stopped = True
            self._inbox.clear()
            self._outbox.clear()
            self._moved.notify_all()
        self._thread.join()

    # What the library does.

    def read(self, size: int = -1) -> bytes:
        self._require_wanted()
        if not self._head:
            self._head = memoryview(self._next())
        if size < 0:
            size = len(self._head)
        data = bytes(self._head[:size])
        self._head = self._head[size:]
        return data

    def _next(self) -> bytes:
        with self._moved:
            while not (self._inbox or self._fed_all or self._stopped):
                self._moved.wait()
            self._require_wanted()
            if not self._inbox:
                return b""
            data = self._inbox.popleft()
            self._waiting_in -= len(data)
            self._moved.notify_all()
            return data

    def write(self, data: bytes) -> int:
        self._piece += data
        if len(self._piece) >= _PIECE:
            self._hand_over()
        return len(data)

    def flush(self) -> None:
        """Pieces go out when they are full and at the end; nobody waits for less."""

    def _hand_over(self) -> None:
        piece, self._piece = bytes(self._piece), bytearray()
        with self._moved:
            while self._waiting_out >= ROOM and not self._stopped:
                self._moved.wait()
            self._require_wanted()
            if piece:
                self._outbox.append(piece)
                self._waiting_out += len(piece)
                self._moved.notify_all()

    def _require_wanted(self) -> None:
        if self._stopped:
            raise EndedEarlyError("The work was given up.")

    def _run(self, work: Callable[[Codec, Codec], None]) -> None:
        try:
            work(self, self)
            self._hand_over()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            self.error = error
        with self._moved:
            self.over = True
            self._moved.notify_all()
