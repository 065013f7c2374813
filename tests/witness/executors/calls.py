"""What an executor that waits for somebody else's answer looks like."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import Any
from urllib.parse import urlsplit

from schedules.executors.base import Executor, ExecutorError, Payload, Result, RunContext


class CallPayload(Payload):
    """``url``: whom to ask. ``seconds``: how long an answer may take."""

    url: str
    seconds: float = 3600


class Call(Executor[CallPayload]):
    """Asks over HTTP, and lets go of a call that blocks when the run has to end."""

    key, title, queue = "test.call", "Call", "agents"
    payload_model = CallPayload

    def execute(self, payload: CallPayload, context: RunContext) -> Result:
        url = urlsplit(payload.url)
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=payload.seconds)
        try:
            connection.connect()
            # Before the call that blocks. Shutting the socket down wakes it; closing it alone would not.
            context.on_stop(lambda: _hang_up(connection))
            connection.request("GET", url.path or "/", headers={"Idempotency-Key": context.job_run_id})
            answer = connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            context.check()  # it was us who hung up
            raise ExecutorError("call_failed", f"{payload.url} did not answer: {error}") from error
        finally:
            connection.close()
        return Result(summary=f"{len(answer)} bytes")


def _hang_up(connection: http.client.HTTPConnection) -> None:
    sock: Any = connection.sock
    with contextlib.suppress(OSError):
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)


class ScanPayload(Payload):
    """``items``: how many to look at."""

    items: int


class Scan(Executor[ScanPayload]):
    """Plain Python, item by item."""

    key, title, queue = "test.scan", "Scan", "scans"
    payload_model = ScanPayload

    def execute(self, payload: ScanPayload, context: RunContext) -> Result:
        found = 0
        for item in range(payload.items):
            if item % 10_000 == 0:
                context.check()
            found += item * item % 7 == 0
        return Result(summary=f"{found} of {payload.items}")


__all__ = ("Call", "Scan")
