"""Let's Encrypt in a box: real Pebbles behind a front that bears the public names, and that can be told to refuse."""

from __future__ import annotations

import functools
import http.client
import json
import os
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from . import spaces, web
from .authority import lab_authority
from .dns import Dns

LETSENCRYPT = "acme-v02.api.letsencrypt.org"
STAGING = "acme-staging-v02.api.letsencrypt.org"
PEBBLE = "pebble.world.test"
PEBBLE_URL = f"https://{PEBBLE}:14000/dir"

_ADDRESSES = {LETSENCRYPT: ("198.51.100.2", "2001:db8::2"), STAGING: ("198.51.100.3", "2001:db8::3")}
_PEBBLE_AT = ("198.51.100.4", "2001:db8::4")
_ERROR = "urn:ietf:params:acme:error:"


@dataclass(frozen=True)
class Problem:
    """An ACME refusal. `type` is the last word of its URN, such as rateLimited, caa, unauthorized, serverInternal."""

    type: str
    detail: str
    status: int = 429
    retry_after: str | None = None  # a number of seconds, or an HTTP date


@dataclass
class _Front:
    """One public name: its Pebble, its requests so far, what it refuses."""

    name: str
    net: int
    upstream: int
    directory: str
    problems: dict[str, Problem] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    date: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:
        pass

    def send_response(self, code: int, message: str | None = None) -> None:
        self.send_response_only(code, message)

    def _pass_on(self) -> None:
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path
        what = path.strip("/").split("/")[0]
        with front.lock:
            front.requests[what] += 1
            problem = front.problems.get(what) or front.problems.get("*")
        if path == front.directory:
            path = "/dir"
        upstream = http.client.HTTPSConnection("127.0.0.1", front.upstream, timeout=30, context=_no_check())
        sent = {key: value for key, value in self.headers.items() if key.lower() != "connection"}
        upstream.request("HEAD" if problem else self.command, "/nonce-plz" if problem else path, body, sent)
        answer = upstream.getresponse()
        content = answer.read()
        headers = answer.getheaders()
        status = answer.status
        upstream.close()
        if problem:
            headers = [(key, value) for key, value in headers if key.lower() == "replay-nonce"]
            headers.append(("Content-Type", "application/problem+json"))
            if problem.retry_after:
                headers.append(("Retry-After", problem.retry_after))
            status = problem.status
            content = json.dumps({"type": _ERROR + problem.type, "detail": problem.detail, "status": status}).encode()
        self.send_response(status)
        for key, value in headers:
            if key.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                self.send_header(key, value)
        self.send_header("Date", front.date or self.date_time_string())
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_HEAD = _pass_on


def _no_check() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, port: int, front: _Front, context: ssl.SSLContext) -> None:
        self.front = front
        self.context = context
        if ":" in address:
            import socket

            self.address_family = socket.AF_INET6
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.front.name, self.server_address[1]

    def process_request_thread(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # as typeshed
        os.setns(self.front.net, os.CLONE_NEWNET)
        try:
            request.settimeout(30)
            request = self.context.wrap_socket(request, server_side=True)
        except OSError:  # hung up, or does not trust us
            request.close()
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Acme:
    """Both Let's Encrypts and PEBBLE_URL answer; certbot needs only machine.trust(*acme.trusted) to use them unchanged.

    PEBBLE_URL is a third CA to its clients, with the production's Pebble behind it.
    """

    def __init__(self, net: int, dns: Dns) -> None:
        self._net = net
        self._directory = tempfile.TemporaryDirectory(prefix="acme-")
        self._servers: list[_Server] = []
        here = Path(self._directory.name)
        authority = lab_authority()
        certificate, key = authority.files(here, LETSENCRYPT, STAGING, PEBBLE, "localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._pebbles = [self._pebble(here, 14000 + 100 * n, certificate, key) for n in (1, 2)]
        self._logs = [here / "14100.log", here / "14200.log"]
        self._fronts = {
            LETSENCRYPT: _Front(LETSENCRYPT, net, 14100, "/directory"),
            STAGING: _Front(STAGING, net, 14200, "/directory"),
            PEBBLE: _Front(PEBBLE, net, 14100, "/dir"),
        }
        for name, front in self._fronts.items():
            addresses, port = (_PEBBLE_AT, 14000) if name == PEBBLE else (_ADDRESSES[name], 443)
            dns.host(name, *addresses)
            for address in addresses:
                server = spaces.in_net(net, functools.partial(_Server, address, port, front, context))
                self._servers.append(server)
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.trusted = (authority.pem,)
        self._roots = {LETSENCRYPT: self._root(14101), STAGING: self._root(14201)}

    def _pebble(self, here: Path, port: int, certificate: Path, key: Path) -> subprocess.Popen[bytes]:
        config = here / f"{port}.json"
        settings = {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{port + 1}",
            "certificate": str(certificate),
            "privateKey": str(key),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        config.write_text(json.dumps({"pebble": settings}), "ascii")
        settings_of_chaos = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
        with (here / f"{port}.log").open("wb") as log:
            return subprocess.Popen(
                spaces.net_command(
                    self._net,
                    ["pebble", "-config", str(config), "-dnsserver", "127.0.0.1:53", "-strict=false"],
                ),
                env={**os.environ, **settings_of_chaos},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _root(self, port: int) -> str:
        end = time.monotonic() + 30
        while True:
            try:
                return web.fetch(self._net, f"https://127.0.0.1:{port}/roots/0", resolve=str).text
            except OSError:
                if time.monotonic() > end or any(each.poll() is not None for each in self._pebbles):
                    raise RuntimeError("Pebble did not start:\n" + self.log()) from None
                time.sleep(0.05)

    def roots(self, name: str = LETSENCRYPT) -> str:
        """The root (PEM) that this CA's certificates come from: trust it to be a browser."""
        return self._roots[LETSENCRYPT if name == PEBBLE else name]

    def orders(self, name: str = LETSENCRYPT) -> int:
        """How many orders this CA was sent."""
        return self._fronts[name].requests["order-plz"]

    def requests(self, name: str = LETSENCRYPT) -> Counter[str]:
        """How often each of this CA's doors (directory, sign-me-up, order-plz, ...) was asked."""
        return Counter(self._fronts[name].requests)

    def refuse(self, problem: Problem, name: str = LETSENCRYPT, at: str = "order-plz") -> None:
        """This CA answers with the problem at that door ("*": all of them) until accept()."""
        self._fronts[name].problems[at] = problem

    def accept(self, name: str = LETSENCRYPT) -> None:
        """This CA refuses nothing more."""
        self._fronts[name].problems.clear()

    def date(self, value: str | None, name: str = LETSENCRYPT) -> None:
        """The Date header that this CA sends (None: the right one)."""
        self._fronts[name].date = value

    def log(self) -> str:
        """What the Pebbles wrote."""
        return "\n".join(path.read_text("utf-8", "replace") for path in self._logs if path.exists())

    def close(self) -> None:
        """No longer there."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for pebble in self._pebbles:
            pebble.kill()
            pebble.wait()
        self._directory.cleanup()
