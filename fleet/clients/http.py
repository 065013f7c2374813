"""The single door to agents' URLs. A URL comes from a tenant, so where it leads is looked at before it is asked."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Beside link-local addresses, where clouds keep the credentials of their machines.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")))
#: Where networks put an IPv4 address into the last 32 bits of an IPv6 one (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class UrlRefusedError(Exception):
    """The URL leads where no agent is."""


class UrlFailedError(Exception):
    """Nobody answered, or not in HTTP."""


def get_status(url: str, *, seconds: float = 5.0, allowed: Sequence[str] = ()) -> int:
    """The status of a GET; redirects are not followed. ``allowed``: networks that are asked although they are special.

    Raises :class:`UrlRefusedError` and :class:`UrlFailedError`.
    """
    answers: list[int | Exception] = []
    asking = threading.Thread(target=lambda: answers.append(_answer(url, seconds, allowed)), daemon=True)
    asking.start()
    # Time-outs of a socket begin anew with each byte: a server that drips would be listened to for days.
    asking.join(seconds)
    answer = answers[0] if answers else UrlFailedError(f"{_shown(url)} does not answer within {seconds:.0f} s")
    if isinstance(answer, Exception):
        raise answer
    return answer


def _answer(url: str, seconds: float, allowed: Sequence[str]) -> int | Exception:
    try:
        return _asked(url, seconds, allowed)
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        return error


def _asked(url: str, seconds: float, allowed: Sequence[str]) -> int:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UrlRefusedError(f"{_shown(url)!r} is no URL such as http://127.0.0.1:5200/health.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = _address(parts.hostname, port, allowed)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with _connected(parts.scheme, parts.hostname, (str(address), port), seconds) as connection:
            connection.request("GET", path, headers={"User-Agent": "watchbill", "Connection": "close"})
            with connection.getresponse() as answer:
                return answer.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UrlFailedError(f"{_shown(url)} does not answer: {error}") from error


def _address(host: str, port: int, allowed: Sequence[str]) -> Address:
    """The first address of the host, looked at; it is the one that is asked, so that a second look can't differ."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    address = ipaddress.ip_address(found[0][4][0])
    plain = _plain(address)
    if any(plain in ipaddress.ip_network(network) for network in allowed):
        return address
    if plain.is_link_local or plain.is_multicast or plain.is_unspecified or plain in _METADATA:
        raise UrlRefusedError(
            f"{host} leads to {plain}, which is link-local or a cloud's metadata service: no agent is there. If one "
            "is, allow its network in OUTGOING_ALLOW.",
        )
    return address


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


@contextlib.contextmanager
def _connected(
    scheme: str, host: str, address: tuple[str, int], seconds: float
) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(host, address[1], timeout=seconds)
    connection.sock = socket.create_connection(address, timeout=seconds)
    try:
        if scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
        yield connection
    finally:
        connection.close()


def _shown(url: str) -> str:
    """Without a user and a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
