"""A real HTTP proxy before a real S3 server, which throws dice over each request and does what networks do."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from backups.archive.settings import S3Settings

#: What may befall a request. ``after``: the server did the work and the answer is lost.
KINDS = ("error", "slowdown", "reset_before", "reset_after", "timeout", "timeout_after", "slow", "short", "etag")
_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>injected</Message></Error>'


class Dice:
    """Decides by ``seed`` what befalls each request: each kind at ``rate``, none at rest."""

    def __init__(self, *, rate: float, seed: int, kinds: tuple[str, ...] = KINDS) -> None:
        self.rate, self.kinds = rate, kinds
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.thrown: Counter[str] = Counter()
        #: What is still to come before the dice decide; for tests of one fault at one request.
        #: Instead of a kind: something to be done just before the server gets the request.
        self.script: list[tuple[str, str | Callable[[], object]]] = []

    def throw(self, request: str) -> str | Callable[[], object]:
        with self._lock:
            for number, (part, kind) in enumerate(self.script):
                if part in request:
                    del self.script[number]
                    return kind
            happens = [kind for kind in self.kinds if self._random.random() < self.rate]
            return self._random.choice(happens) if happens else ""


class Proxy(ThreadingHTTPServer):
    """Passes on every header, the signed Host among them. ``latency`` and ``hang`` are seconds."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, upstream: str, dice: Dice, *, latency: float = 0, hang: float = 1.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.dice, self.latency, self.hang = dice, latency, hang
        self.requests: list[str] = []
        self.seen: list[tuple[str, Message]] = []
        self._alive = threading.Event()
        self._alive.set()
        #: Dies for good when a request holds this text; ``after`` the work was done if ``die_after``.
        self.die_at, self.die_after = "", False

    def die(self) -> None:
        """From now on nothing is answered, and nothing refused."""
        self._alive.clear()

    def revive(self) -> None:
        self.die_at = ""
        self._alive.set()

    @property
    def dead(self) -> bool:
        return not self._alive.is_set()

    def wait_alive(self) -> None:
        self._alive.wait(60)

    def handle_error(self, *_: object) -> None:
        """Clients go away; that is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = f"{self.command} {self.path}"
        self.server.requests.append(request)
        self.server.seen.append((request, self.headers))
        dies = bool(self.server.die_at) and self.server.die_at in request
        if dies and not self.server.die_after:
            self.server.die()
        if self.server.dead:
            return self._hang_for_good()
        fault = self.server.dice.throw(request)
        if callable(fault):
            fault, _ = "", fault()
        time.sleep(self.server.latency)
        if fault in {"error", "slowdown", "reset_before", "timeout"}:
            return self._refuse(fault)
        answer, content = self._forward(body)
        if dies or self.server.dead:
            self.server.die()
            return self._hang_for_good()
        return self._answer(fault, answer, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - names of the base class

    def _hang_for_good(self) -> None:
        self.server.wait_alive()
        self._reset()

    def _refuse(self, fault: str) -> None:
        self.server.dice.thrown[fault] += 1
        if fault == "reset_before":
            self._reset()
        elif fault == "timeout":
            time.sleep(self.server.hang)
            self._reset()
        else:
            status, code = (500, "InternalError") if fault == "error" else (503, "SlowDown")
            content = b"" if self.command == "HEAD" else _ERROR.format(code).encode()
            self._send(status, {"Content-Type": "application/xml", "Content-Length": str(len(content))}, content)

    def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            return answer, answer.read()
        finally:
            upstream.close()

    def _answer(self, fault: str, answer: http.client.HTTPResponse, content: bytes) -> None:
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        if self.command != "HEAD":
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            headers["Content-Length"] = str(len(content))
        fault = fault if self._fits(fault, content) else ""
        self.server.dice.thrown.update([fault] if fault else [])
        if fault == "etag":
            _spoil(headers)
        elif fault == "slow":
            time.sleep(min(0.3, self.server.hang / 4))
        elif fault == "short":
            content = content[: len(content) // 2]
            self.close_connection = True
        elif fault:
            time.sleep(self.server.hang if fault == "timeout_after" else 0)
            return self._reset()
        return self._send(answer.status, headers, content)

    def _fits(self, fault: str, content: bytes) -> bool:
        """Some faults are of some requests only."""
        if fault == "short":
            return self.command == "GET" and len(content) > 1
        return fault != "etag" or "partNumber=" in self.path

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _reset(self) -> None:
        """RST, not FIN: what a crashed host or a firewall sends."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, *_: Any) -> None:
        """Nothing: tests look at ``Proxy.requests``."""


def _spoil(headers: dict[str, str]) -> None:
    for name in headers:
        if name.lower() == "etag":
            headers[name] = f'"{"0" * 32}"'


@contextlib.contextmanager
def faulty(
    settings: S3Settings, dice: Dice | None = None, *, latency: float = 0, read_timeout: float = 0.5
) -> Iterator[tuple[S3Settings, Proxy]]:
    """The server of ``settings`` behind a proxy; a time-out hangs for twice the client's."""
    dice = dice or Dice(rate=0, seed=0)
    with Proxy(settings.endpoint_url, dice, latency=latency, hang=2 * read_timeout) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        host, port = proxy.server_address[:2]
        try:
            yield replace(settings, endpoint_url=f"http://{host}:{port}", read_timeout=read_timeout), proxy
        finally:
            proxy.revive()
            proxy.shutdown()
            thread.join(5)
