"""One HTTP request to one address, with a deadline. The standard library's client: no redirects, no proxies, no pool."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hermes_setup.host import Request, Response

LARGEST_BODY = 256 * 1024


def fetch(request: Request) -> Response:
    """See `Host.fetch`. With an empty method only the connection (and the TLS handshake) is made."""
    deadline = time.monotonic() + request.seconds
    certificate = b""
    try:
        with (
            socket.create_connection((request.address, request.port), timeout=request.seconds) as sock,
            _closed_at(deadline, sock),
        ):
            connection = sock
            if request.tls:
                connection = _context(request.verify).wrap_socket(sock, server_hostname=request.name)
                certificate = connection.getpeercert(binary_form=True) or b""
            if not request.method:
                return Response(0, certificate=certificate)
            connection.settimeout(max(0.05, deadline - time.monotonic()))
            connection.sendall(_head(request))
            answer = http.client.HTTPResponse(connection, method=request.method)
            answer.begin()
            body = _body(answer, connection, deadline)
            return Response(answer.status, tuple(answer.getheaders()), body, certificate=certificate)
    except (TimeoutError, socket.timeout):  # noqa: UP041 - two types on 3.9 and older C code
        return Response(0, error="timeout", certificate=certificate)
    except ConnectionRefusedError:
        return Response(0, error="refused", certificate=certificate)
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= deadline:  # cut off in the middle
            return Response(0, error="timeout", certificate=certificate)
        return Response(0, error=_reason(error), certificate=certificate)


def _body(answer: http.client.HTTPResponse, connection: socket.socket, deadline: float) -> bytes:
    """As much of the body as came in time, and not more than may be read."""
    body = b""
    while len(body) < LARGEST_BODY and (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        part = answer.read1(LARGEST_BODY - len(body))
        if not part:
            break
        body += part
    return body


@contextmanager
def _closed_at(deadline: float, sock: socket.socket) -> Iterator[None]:
    """The connection is closed at that time: a timeout alone starts again with each byte that comes in."""
    duplicate = sock.dup()  # TLS takes the other one over
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), _shut_down, (duplicate,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        duplicate.close()


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    """Why there is no answer, in the system's words."""
    match error:
        case ssl.SSLError():
            return f"TLS: {error.reason or error}"
        case OSError():
            return os.strerror(error.errno) if error.errno else str(error)
        case _:
            return f"not HTTP: {type(error).__name__}"


def _head(request: Request) -> bytes:
    """The request line and the headers."""
    headers = dict(request.headers)
    if not any(key.lower() == "host" for key in headers):
        headers = {"Host": request.name, **headers}
    if not any(key.lower() == "connection" for key in headers):
        headers["Connection"] = "close"
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def _context(verify: bool) -> ssl.SSLContext:
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the machine's CAs, which take a while to read
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
