"""Stand-ins for the programs that listen on the real machine: their ports are taken in the copy, too.

Hermes has a stand-in that answers as it does, and refuses what it refuses: a connection from the copy to the real one would
expose what must not be exposed. The others answer every request with 404, which Hermes never does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hermes_setup.host import Listener

VERSION = "0.19.0"  # the one whose answers it gives (hermes_cli/web_server.py)
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
PAGE = b'<!doctype html><title>Hermes</title><script>window.__HERMES_SESSION_TOKEN__="rehearsal-only"</script>'


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        """Nothing is written."""

    def respond(self, status: int, kind: str, body: bytes) -> None:
        """The whole response is sent."""
        self.send_response_only(status)
        self.send_header("Server", "a stand-in, in this copy")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Other(_Quiet):
    """Any program that is not Hermes."""

    def do_GET(self) -> None:
        """Nothing is here."""
        self.respond(404, "text/plain", b"not here\n")


class Dashboard(_Quiet):
    """Hermes's dashboard, as far as our checks go: its status, a page, a WebSocket; which Host and Origin it accepts."""

    def do_GET(self) -> None:
        """As the real one answers."""
        hosts = ("localhost", "127.0.0.1", "[::1]")
        origin = self.headers.get("Origin", "http://localhost").partition("://")[2]
        names = (self.headers.get("Host", ""), origin)
        if any(name.rpartition(":")[0] not in hosts and name not in hosts for name in names):
            return self.respond(400, "application/json", b'{"detail":"Invalid Host header"}')
        if self.headers.get("Upgrade", "").lower() == "websocket":
            key = self.headers.get("Sec-WebSocket-Key", "").encode()
            self.send_response_only(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET, usedforsecurity=False).digest())
            self.send_header("Sec-WebSocket-Accept", accept.decode())
            self.end_headers()
            self.close_connection = True
            return None
        if self.path == "/api/status":
            return self.respond(
                200, "application/json", json.dumps({"version": VERSION, "auth_required": False}).encode()
            )
        return self.respond(200, "text/html", PAGE)


def listen(each: Listener, kind: type[BaseHTTPRequestHandler], *, both: bool) -> bool:
    """The listener's address and port are taken in this network; False where its address is not here.

    `both`: a socket on "::" takes the port of IPv4, too.
    """
    family = socket.AF_INET6 if ":" in each.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        sock.bind((each.address, each.port))
        sock.listen()
    except OSError:
        sock.close()
        return False
    server = ThreadingHTTPServer(("", 0), kind, bind_and_activate=False)
    server.socket.close()
    server.socket = sock
    threading.Thread(target=server.serve_forever, args=(60,), daemon=True).start()
    return True
