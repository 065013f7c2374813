"""The proxy carries what it is given, and cuts what it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Line, Switchboard


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says back what it hears; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(client,), daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client:
        try:
            while data := client.recv(65536):
                client.sendall(data)
        except OSError:
            return


@pytest.fixture
def board() -> Iterator[Switchboard]:
    board = Switchboard()
    yield board
    board.close()


def connected(line: Line) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), timeout=2)


def said_back(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    found = b""
    while len(found) < len(text):
        if not (data := client.recv(65536)):
            break
        found += data
    return found


def test_it_carries_much_both_ways(board: Switchboard, echo: int) -> None:
    text = b"0123456789" * 200_000
    with connected(board.line(echo)) as client:
        client.settimeout(20)
        threading.Thread(target=client.sendall, args=(text,), daemon=True).start()
        found = bytearray()
        while len(found) < len(text):
            found += client.recv(65536)
    assert found == text


def test_a_refused_line_resets_what_is_there_and_what_comes(board: Switchboard, echo: int) -> None:
    line = board.line(echo)
    with connected(line) as client:
        assert said_back(client, b"x") == b"x"
        board.cut(line, "refuse")
        with pytest.raises(ConnectionError):
            assert said_back(client, b"y") == b"y", "it was closed"
    with pytest.raises(ConnectionError), connected(line) as client:
        client.recv(1)
    board.cut(line, "open")
    with connected(line) as client:
        assert said_back(client, b"z") == b"z"


def test_a_silent_line_keeps_what_it_was_given(board: Switchboard, echo: int) -> None:
    line = board.line(echo)
    with connected(line) as client:
        assert said_back(client, b"x") == b"x"
        board.cut(line, "silent")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            said_back(client, b"y")
        board.cut(line, "open")
        client.settimeout(2)
        assert client.recv(1) == b"y"


def test_a_reset_hits_what_is_there_only(board: Switchboard, echo: int) -> None:
    line = board.line(echo)
    with connected(line) as client:
        assert said_back(client, b"x") == b"x"
        board.reset(line)
        with pytest.raises(ConnectionError):
            assert said_back(client, b"y") == b"y", "it was closed"
        with connected(line) as again:
            assert said_back(again, b"z") == b"z"


def test_a_server_that_is_down_is_seen_as_down(board: Switchboard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError), connected(board.line(port)) as client:
        client.recv(1)
