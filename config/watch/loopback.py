"""The smallest HTTP and Redis clients that tell whether a server on this machine answers.

By hand, because the libraries would cost the supervisor more memory than everything else it holds.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from config.watch.settings import HOST

_ANSWER_BYTES = 65_536


def http_get(port: int, path: str, *, seconds: float = 2.0) -> bytes:
    """The whole answer with its headers; empty when there is none."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n"
    with suppress(OSError), socket.create_connection((HOST, port), timeout=seconds) as connection:
        connection.sendall(request.encode("ascii"))
        return _read_all(connection)
    return b""


def is_healthy(port: int) -> bool:
    head, _, body = http_get(port, "/health").partition(b"\r\n\r\n")
    return b" 200 " in head.partition(b"\r\n")[0] and b'"status":"ok"' in body


def redis_command(path: Path, command: str, *, seconds: float = 1.0) -> bytes:
    """The first bytes of the answer of the Redis behind a unix socket; empty when there is none."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        connection.connect(str(path))
        connection.sendall(f"{command}\r\n".encode("ascii"))
        return connection.recv(_ANSWER_BYTES)
    return b""


def _read_all(connection: socket.socket) -> bytes:
    answer = b""
    while len(answer) < _ANSWER_BYTES and (part := connection.recv(_ANSWER_BYTES)):
        answer += part
    return answer
