"""The door to agents' URLs: where it leads is looked at, and it closes in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from fleet.clients.http import UrlFailedError, UrlRefusedError, get_status


class Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def door() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_agent_is_asked_and_redirects_are_not_followed(door: str) -> None:
    assert get_status(f"{door}/health") == 200
    assert get_status(f"{door}/away") == 302


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[fe80::1]",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
    ],
)
def test_what_is_no_agents_is_refused(host: str) -> None:
    with pytest.raises(UrlRefusedError, match="no agent is there"):
        get_status(f"http://{host}/latest/meta-data")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://127.0.0.1", "http://", "127.0.0.1:80"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UrlRefusedError, match="is no URL"):
        get_status(url)


def test_a_network_that_is_allowed_is_asked(door: str) -> None:
    """By Linux, 0.0.0.0 leads to the host itself."""
    url = door.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - asked, not served
    with pytest.raises(UrlRefusedError):
        get_status(url)
    assert get_status(url, allowed=["0.0.0.0/32"]) == 200


def test_a_server_that_drips_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\n" * 10:
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        return
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(UrlFailedError, match="does not answer within"):
            get_status(f"http://me:secret@127.0.0.1:{server.getsockname()[1]}/", seconds=0.3)
        assert time.monotonic() - began < 2
