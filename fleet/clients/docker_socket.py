"""The connection to the Docker engine: its failures translated, and an exec's output read without loss."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from fleet.clients import docker_errors as errors

OutputStream = Literal["stdout", "stderr"]

_CONFLICT = 409
_HEADER = struct.Struct(">BxxxL")
_STREAMS: dict[int, OutputStream] = {1: "stdout", 2: "stderr"}
_CHUNK = 64 * 1024
_KNOCK = 5.0
#: Seconds between two looks at whether the work must end.
_POLL = 0.2


@contextlib.contextmanager
def failures(container: str, place: str, known: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn what the SDK raises into this package's errors."""
    try:
        yield
    except NotFound as error:
        raise errors.ContainerMissingError(container, known) from error
    except APIError as error:
        raise _answered(error, container) from error
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise unreachable(error, place) from error


def _answered(error: APIError, container: str) -> errors.DockerError:
    text = str(error.explanation or error)
    if error.status_code == _CONFLICT and "paused" in text:
        return errors.ContainerPausedError(container)
    if error.status_code == _CONFLICT and ("is not running" in text or "is restarting" in text):
        return errors.ContainerStoppedError(container)
    return errors.EngineFailedError(f"The Docker engine refused for container '{container}': {text}")


def unreachable(error: Exception, place: str) -> errors.EngineUnreachableError:
    text = str(error)
    if "Permission denied" in text:
        advice = "this user may not use its socket: add it to the group that owns the socket"
    elif "No such file" in text:
        advice = "its socket does not exist: start the engine, or set DOCKER_HOST to where it listens"
    else:
        advice = "check that it runs and that DOCKER_HOST names it"
    return errors.EngineUnreachableError(f"The Docker engine at {place} cannot be reached: {advice}. Then try again.")


def knock(url: str) -> None:
    """Raise ``OSError`` when nobody listens on the engine's socket; the SDK would leave its own one open."""
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_KNOCK)
            probe.connect("/" + url.removeprefix("unix://").lstrip("/"))


def frames(response: Any, on_poll: Callable[[], None]) -> Iterator[tuple[OutputStream, bytes]]:
    """The demultiplexed output of an exec as it comes; ``on_poll`` is called every fraction of a second.

    The SDK itself reads the raw socket and loses what arrived together with the HTTP headers and so lies in
    the buffered reader above it (docker-py issue 3332): short commands end without output. So that is
    emptied first.
    """
    reader = response.raw._fp.fp  # noqa: SLF001 - the SDK has no public way to it
    source = _Source(reader, on_poll)
    while header := source.exactly(_HEADER.size):
        kind, left = _HEADER.unpack(header)
        while left and (data := source.some(min(left, _CHUNK))):
            left -= len(data)
            yield _STREAMS.get(kind, "stdout"), data


class _Source:
    def __init__(self, reader: Any, on_poll: Callable[[], None]) -> None:
        self._raw, self._on_poll = reader.raw, on_poll
        self._socket = self._raw._sock  # noqa: SLF001
        self._socket.settimeout(0)
        self._rest = cast("bytes", reader.peek(1) or b"")
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def some(self, size: int) -> bytes:
        """At least one byte, or none at the end."""
        if self._rest:
            data, self._rest = self._rest[:size], self._rest[size:]
            return data
        while True:
            self._on_poll()
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                return cast("bytes", self._socket.recv(size))
            self._poll.poll(_POLL * 1000)

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.some(size - len(data))):
            data += more
        return data if len(data) == size else b""
