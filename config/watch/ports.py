"""Which loopback ports are free."""

from __future__ import annotations

import errno
import socket

from config.watch.errors import LaunchError
from config.watch.settings import HOST


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now. Raises ``PermissionError`` for a privileged one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of a former watch that are still fading away don't hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def require(port: int, *, variable: str) -> int:
    """The port when it is free, else the one line that says how to take another."""
    try:
        free = is_free(port)
    except OSError as error:
        raise LaunchError(
            f"Port {port} cannot be used: {error.strerror}. Take another: {variable}={port + 8000} make run"
        ) from error
    if not free:
        raise LaunchError(
            f"Port {port} is taken by another program. End that, or take another port: {variable}={port + 1} make run"
        )
    return port


def first_free(start: int) -> int:
    for port in range(start, min(start + 100, 65536)):
        if is_free(port):
            return port
    raise LaunchError(f"No free port from {start} to {start + 99} on {HOST}.")


def any_free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
