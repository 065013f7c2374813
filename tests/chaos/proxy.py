"""A small TCP proxy that can cut what goes through it: one thread, many lines, loopback only.

A line listens on a port of its own and leads to one server. Each process of the watch has lines of its own, so that
one of them can be cut off from the database or from Redis while the others are not.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

#: ``open``; ``refuse``: what comes is reset at once; ``silent``: taken, and never answered; bytes wait until it heals.
Mode = Literal["open", "refuse", "silent"]
HOST = "127.0.0.1"
_CHUNK = 65536
_SECONDS = 0.05


@dataclass(kw_only=True)
class Line:
    """One way to one server. ``target`` may change: a restarted server may listen elsewhere."""

    target: int
    listener: socket.socket
    mode: Mode = "open"
    pairs: list[Pair] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])


class Pair:
    """A connection from a client, and the one to the server that it stands for."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.sides = {client: server, server: client}
        self.waiting = {client: b"", server: b""}
        for side in self.sides:
            side.setblocking(False)

    def close(self, *, reset: bool) -> None:
        for side in self.sides:
            _close(side, reset=reset)


class Switchboard:
    """All lines, served by one thread. Other threads ask it to change something; it is done before they go on."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._asked: list[tuple[Callable[[], None], threading.Event]] = []
        self._lines: list[Line] = []
        self._ended = False
        self._thread = threading.Thread(target=self._serve, name="switchboard", daemon=True)
        self._thread.start()

    def line(self, target: int) -> Line:
        """A new open line to this port of loopback."""
        listener = socket.create_server((HOST, 0), backlog=64)
        listener.setblocking(False)
        line = Line(target=target, listener=listener)
        self._do(lambda: self._add(line))
        return line

    def cut(self, line: Line, mode: Mode) -> None:
        """``refuse`` resets what is there; ``silent`` lets it hang; ``open`` heals."""
        self._do(lambda: self._set(line, mode))

    def reset(self, line: Line) -> None:
        """Reset what is there; new connections are let in."""
        self._do(lambda: self._drop_all(line))

    def close(self) -> None:
        self._ended = True
        self._thread.join(timeout=5)
        for line in self._lines:
            self._drop_all(line)
            line.listener.close()
        self._selector.close()

    def _do(self, work: Callable[[], None]) -> None:
        done = threading.Event()
        self._asked.append((work, done))
        assert done.wait(timeout=5), "the switchboard is stuck or dead"

    def _serve(self) -> None:
        while not self._ended:
            while self._asked:
                work, done = self._asked.pop(0)
                work()
                done.set()
            for key, mask in self._selector.select(timeout=_SECONDS):
                # An earlier one of these may have closed it.
                if isinstance(key.fileobj, socket.socket) and key.fileobj.fileno() >= 0:
                    key.data(mask)

    def _add(self, line: Line) -> None:
        self._lines.append(line)
        self._selector.register(line.listener, selectors.EVENT_READ, lambda _mask: self._accept(line))

    def _set(self, line: Line, mode: Mode) -> None:
        line.mode = mode
        if mode == "refuse":
            self._drop_all(line)
        for pair in line.pairs:
            self._listen(line, pair)

    def _accept(self, line: Line) -> None:
        try:
            client, _ = line.listener.accept()
        except OSError:
            return
        if line.mode == "refuse":
            _close(client, reset=True)
            return
        try:
            server = socket.create_connection((HOST, line.target), timeout=1)
        except OSError:
            _close(client, reset=True)
            return
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = Pair(client, server)
        line.pairs.append(pair)
        self._listen(line, pair)

    def _listen(self, line: Line, pair: Pair) -> None:
        """Wait for what can be done now: nothing on a silent line, else to read, and to write what is left over."""
        for side, other in pair.sides.items():
            wanted = 0 if line.mode == "silent" or pair.waiting[other] else selectors.EVENT_READ
            if pair.waiting[side] and line.mode != "silent":
                wanted |= selectors.EVENT_WRITE
            self._watch(side, wanted, partial(self._moved, line, pair, side))

    def _watch(self, side: socket.socket, wanted: int, call: Callable[[int], None]) -> None:
        known = side in self._selector.get_map()
        if not wanted and known:
            self._selector.unregister(side)
        elif wanted and known:
            self._selector.modify(side, wanted, call)
        elif wanted:
            self._selector.register(side, wanted, call)

    def _moved(self, line: Line, pair: Pair, side: socket.socket, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                sent = side.send(pair.waiting[side])
                pair.waiting[side] = pair.waiting[side][sent:]
            if mask & selectors.EVENT_READ and not self._carry(pair, side):
                self._drop(line, pair, reset=False)
                return
        except BlockingIOError:
            pass
        except OSError:
            self._drop(line, pair, reset=True)
            return
        if mask & selectors.EVENT_WRITE or any(pair.waiting.values()):
            self._listen(line, pair)

    def _carry(self, pair: Pair, side: socket.socket) -> bool:
        """From one side to the other. False at the end of what the side says."""
        if not (data := side.recv(_CHUNK)):
            return False
        other = pair.sides[side]
        try:
            sent = other.send(data)
        except BlockingIOError:
            sent = 0
        pair.waiting[other] += data[sent:]
        return True

    def _drop_all(self, line: Line) -> None:
        for pair in list(line.pairs):
            self._drop(line, pair, reset=True)

    def _drop(self, line: Line, pair: Pair, *, reset: bool) -> None:
        for side in pair.sides:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(side)
        pair.close(reset=reset)
        line.pairs.remove(pair)


def _close(side: socket.socket, *, reset: bool) -> None:
    """With a RST rather than a FIN where it is to look like a broken connection."""
    with contextlib.suppress(OSError):
        if reset:
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    side.close()
