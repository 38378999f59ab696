"""Requests as a stranger would send them: any address, any SNI, any Host, from any network namespace."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography import x509
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from . import spaces

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
Resolve = Callable[[str], str]


@dataclass(frozen=True)
class Reply:
    """What came back. Header names are as sent; `header` looks one up in any case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    certificate: x509.Certificate | None = field(default=None, repr=False)

    def header(self, name: str) -> str | None:
        """The first value of that header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """Each value of that header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers)


def _context(roots: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if roots is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=roots)
    return context


def open_socket(net: int, address: str, port: int, timeout: float) -> socket.socket:
    """A connection made in network namespace `net`."""
    return spaces.in_net(net, lambda: socket.create_connection((address, port), timeout))


def fetch(
    net: int,
    url: str,
    *,
    resolve: Resolve,
    address: str | None = None,
    port: int | None = None,
    sni: str | None = None,
    host: str | None = None,
    method: str = "GET",
    headers: Headers = (),
    body: bytes | None = None,
    auth: tuple[str, str] | None = None,
    roots: str | None = None,
    timeout: float = 30,
) -> Reply:
    """One request, no redirects followed. It goes to `address` and `port` whatever the URL says; `sni` "" sends none.

    `roots` (PEM) has the certificate checked against the SNI; without it any certificate will do.
    """
    parts = urlsplit(url)
    name = parts.hostname or ""
    secure = parts.scheme == "https"
    port = port or parts.port or (443 if secure else 80)
    raw = open_socket(net, address or resolve(name), port, timeout)
    try:
        peer = None
        if secure:
            wanted = name if sni is None else sni
            tls = _context(roots).wrap_socket(raw, server_hostname=wanted or None)
            raw = tls
            der = tls.getpeercert(binary_form=True)
            peer = x509.load_der_x509_certificate(der) if der else None
        connection = http.client.HTTPConnection(name, port, timeout=timeout)
        connection.sock = raw
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", parts.netloc.rpartition("@")[2] if host is None else host)
        if auth is not None:
            connection.putheader("Authorization", basic(*auth))
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for key, value in _pairs(headers):
            connection.putheader(key, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return Reply(answer.status, answer.getheaders(), answer.read(), peer)
    finally:
        raw.close()


def basic(user: str, password: str) -> str:
    """The Authorization header's value, as a browser writes it."""
    import base64

    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class WebSocket:
    """What an upgrade came to: 101 and an open connection, or another status and none. A context manager."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    connection: ClientConnection | None

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: str | bytes) -> None:
        assert self.connection is not None, f"not upgraded: {self.status}"
        self.connection.send(message)

    def receive(self, timeout: float = 30) -> str | bytes:
        assert self.connection is not None, f"not upgraded: {self.status}"
        return self.connection.recv(timeout)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


def websocket(
    net: int,
    url: str,
    *,
    resolve: Resolve,
    address: str | None = None,
    port: int | None = None,
    sni: str | None = None,
    host: str | None = None,
    origin: str | None = None,
    headers: Headers = (),
    auth: tuple[str, str] | None = None,
    roots: str | None = None,
    timeout: float = 90,  # Hermes loads much of itself at the first one
) -> WebSocket:
    """The outcome of an upgrade at a ws:// or wss:// URL; the other arguments as in fetch()."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    secure = parts.scheme == "wss"
    raw = open_socket(net, address or resolve(name), port or parts.port or (443 if secure else 80), timeout)
    if secure:
        raw = _context(roots).wrap_socket(raw, server_hostname=(name if sni is None else sni) or None)
    extra = _pairs(headers)
    if auth is not None:
        extra.append(("Authorization", basic(*auth)))
    rest = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    shown = parts.netloc.rpartition("@")[2] if host is None else host
    try:
        opened = connect(
            f"ws://{shown}{rest}",
            sock=raw,
            origin=None if origin is None else Origin(origin),
            additional_headers=extra,
            compression=None,
            proxy=None,
            open_timeout=timeout,
            ping_interval=None,
            legacy=True,  # the caller closes it
        )
    except InvalidStatus as refused:
        raw.close()
        reply = refused.response
        return WebSocket(reply.status_code, list(reply.headers.raw_items()), bytes(reply.body or b""), None)
    except InvalidHandshake:
        raw.close()
        raise
    assert opened.response is not None
    return WebSocket(101, list(opened.response.headers.raw_items()), b"", opened)
