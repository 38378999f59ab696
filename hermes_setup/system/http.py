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

MOST = 256 * 1024


def fetch(request: Request) -> Response:
    """See `Host.fetch`. With an empty method only the connection (and the TLS handshake) is made."""
    end = time.monotonic() + request.seconds
    certificate = b""
    try:
        with (
            socket.create_connection((request.address, request.port), timeout=request.seconds) as plain,
            _cut_at(end, plain),
        ):
            connection = plain
            if request.tls:
                connection = _context(request.verify).wrap_socket(plain, server_hostname=request.name)
                certificate = connection.getpeercert(binary_form=True) or b""
            if not request.method:
                return Response(0, certificate=certificate)
            connection.settimeout(max(0.05, end - time.monotonic()))
            connection.sendall(_head(request))
            answer = http.client.HTTPResponse(connection, method=request.method)
            answer.begin()
            body = b""
            while len(body) < MOST and (left := end - time.monotonic()) > 0:
                connection.settimeout(left)
                part = answer.read1(MOST - len(body))
                if not part:
                    break
                body += part
            return Response(answer.status, tuple(answer.getheaders()), body, certificate=certificate)
    except (TimeoutError, socket.timeout):  # noqa: UP041 - two types on 3.9 and older C code
        return Response(0, error="timeout", certificate=certificate)
    except ConnectionRefusedError:
        return Response(0, error="refused", certificate=certificate)
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= end:  # cut off in the middle
            return Response(0, error="timeout", certificate=certificate)
        return Response(0, error=_words(error), certificate=certificate)


@contextmanager
def _cut_at(end: float, plain: socket.socket) -> Iterator[None]:
    """The connection is over at that time: a timeout alone begins anew with each byte that drips in."""
    line = plain.dup()  # TLS takes the other one over
    watch = threading.Timer(max(0.0, end - time.monotonic()), _shut, (line,))
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
        line.close()


def _shut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _words(error: Exception) -> str:
    match error:
        case ssl.SSLError():
            return f"TLS: {error.reason or error}"
        case OSError():
            return os.strerror(error.errno) if error.errno else str(error)
        case _:
            return f"not HTTP: {type(error).__name__}"


def _head(request: Request) -> bytes:
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
