"""The rehearsal's certificate authority: Pebble, and before it a proxy that answers under Let's Encrypt's names."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from hermes_setup.system.processes import program

if TYPE_CHECKING:
    from hermes_setup.system.rehearsal.internet import Settings

PEBBLE, MANAGEMENT = 14000, 15000
CERTIFICATE = """\
[req]
distinguished_name = name
x509_extensions = own
prompt = no
[name]
CN = hermes-setup rehearsal
[own]
basicConstraints = critical,CA:TRUE
keyUsage = critical,digitalSignature,keyCertSign,cRLSign
subjectKeyIdentifier = hash
subjectAltName = """


class AcmeProxy(BaseHTTPRequestHandler):
    """Pebble under Let's Encrypt's names: its directory is at /dir, everything else where Let's Encrypt has it."""

    protocol_version = "HTTP/1.1"
    server: TlsServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        """Nothing is written."""

    def forward(self) -> None:
        """The request is sent to Pebble, and Pebble's answer to the client."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = "/dir" if self.path in ("/directory", self.server.directory) else self.path
        upstream = http.client.HTTPSConnection("127.0.0.1", PEBBLE, timeout=60, context=_unverified())
        kept = {key: value for key, value in self.headers.items() if key.lower() != "connection"}
        upstream.request(self.command, path, body, kept)
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_HEAD = forward  # noqa: N815 - the base class looks for these


class TlsServer(ThreadingHTTPServer):
    """A thread for each connection and its TLS handshake: one that hangs does not hold up the others."""

    daemon_threads = True
    context: ssl.SSLContext
    directory: str  # where clients ask for it

    def finish_request(self, request: Any, client_address: Any) -> None:
        """One connection is served; one that does not trust us is closed."""
        with contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is not reported."""


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def start_authority(settings: Settings) -> list[str]:
    """The CA runs; the certificates (PEM) to trust: the proxy's, and the root of those that the CA issues."""
    certificate, key = f"{settings.folder}/proxy.pem", f"{settings.folder}/proxy.key"
    with open(f"{settings.folder}/proxy.conf", "w", encoding="ascii") as file:
        file.write(CERTIFICATE + ",".join(f"DNS:{name}" for name in (*settings.names, "localhost")) + "\n")
    argv = ["openssl", "req", "-x509", "-config", file.name, "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    argv += ["-keyout", key, "-out", certificate]
    subprocess.run(argv, executable=program("openssl"), check=True, capture_output=True)
    pebble_config = {
        "listenAddress": f"127.0.0.1:{PEBBLE}",
        "managementListenAddress": f"127.0.0.1:{MANAGEMENT}",
        "certificate": certificate,
        "privateKey": key,
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    with open(f"{settings.folder}/pebble.json", "w", encoding="ascii") as file:
        json.dump({"pebble": pebble_config}, file)
    pebble = subprocess.Popen(
        [settings.pebble, "-config", file.name, "-dnsserver", "127.0.0.1:53", "-strict=false"],
        executable=program(settings.pebble),
        # without what a test server does on purpose: wait, reject nonces, reuse old authorizations
        env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # without Pebble this internet is no use, so it ends, too: then `is_intact` is False
    threading.Thread(target=lambda: os._exit(pebble.wait()), daemon=True).start()
    proxy = TlsServer(("", settings.port), AcmeProxy)
    proxy.context, proxy.directory = context, settings.directory
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    with open(certificate, encoding="ascii") as file:
        return [file.read(), _root()]


def _root(seconds: float = 20.0) -> str:
    """Pebble's root, which it makes again each time it starts, as soon as it answers. Raises OSError when it does not."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            management = http.client.HTTPSConnection("127.0.0.1", MANAGEMENT, timeout=5, context=_unverified())
            management.request("GET", "/roots/0")
            return management.getresponse().read().decode("ascii")
        threading.Event().wait(0.02)  # nothing says when it listens
        if time.monotonic() > deadline:
            raise OSError("Pebble does not answer")
