"""An internet of the copy's own, in one process: name servers at every address, and Let's Encrypt.

Started by `network` in a network namespace of its own, to which every address is routed that is not the copy's. Its
settings are one line of JSON on stdin; it answers with one: the certificates to trust, none where there is no CA.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hermes_setup.values import dataclass

GATEWAYS = ("169.254.1.1", "fe80::1")  # of the copy, on the link between the two
# What every other name points to, and where the CA connects from: Let's Encrypt's own, because a firewall may drop addresses
# that are not in use.
SERVER, SERVER6 = "172.65.32.248", "2606:4700:60:0:f53d:5624:85c7:3a2c"
INTERFACE = "outside"
PEBBLE, MANAGEMENT = 14000, 15000
LETSENCRYPT = ("acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org")
# Names whose records are the address that asks for them (stages/dns asks for them).
OWN_ADDRESS = ("myip.opendns.com", "o-o.myaddr.l.google.com")
PKTINFO = {socket.AF_INET: (socket.IPPROTO_IP, 8), socket.AF_INET6: (socket.IPPROTO_IPV6, 50)}  # linux/in.h, in6.h
RECEIVE_PKTINFO = {socket.AF_INET: 8, socket.AF_INET6: 49}
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


@dataclass(frozen=True)
class Settings:
    """What this internet is to be."""

    domain: str
    addresses: Sequence[str]  # of the copy
    public: Sequence[str]  # those that the domain points to
    names: Sequence[str]  # of the CA
    port: int
    directory: str  # the path of the ACME directory
    pebble: str  # the CA's program; "": none
    folder: str

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(vars(self)) + "\n"


def answer(settings: Settings, name: str, kind: str, six: bool) -> list[str]:
    """The records of a name, in presentation form: pure."""
    mine = {"A": [a for a in settings.public if ":" not in a], "AAAA": [a for a in settings.public if ":" in a]}
    if name in (settings.domain, OWN_ADDRESS[0]):
        return mine.get(kind, [])
    if name == OWN_ADDRESS[1] and kind == "TXT":
        return [f'"{each}"' for each in mine["AAAA" if six else "A"]]
    if kind == "A" and name not in OWN_ADDRESS:
        return [SERVER]
    return []


def serve_names(settings: Settings, family: socket.AddressFamily) -> None:
    """Every query to port 53 is answered from the address that it came to. Does not return."""
    import dns.exception
    import dns.message
    import dns.rdatatype
    import dns.rrset

    level, kind = PKTINFO[family]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(level, RECEIVE_PKTINFO[family], 1)
        sock.bind(("", 53))
        while True:
            wire, extra, _, peer = sock.recvmsg(4096, 128)
            with contextlib.suppress(dns.exception.DNSException, OSError, ValueError):
                query = dns.message.from_wire(wire)
                reply = dns.message.make_response(query, recursion_available=True)
                question = query.question[0]
                rdtype = dns.rdatatype.to_text(question.rdtype)
                name = question.name.to_text(omit_final_dot=True).lower()
                if values := answer(settings, name, rdtype, family == socket.AF_INET6):
                    reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", rdtype, *values))
                # ip(7), ipv6(7): the address that the query came to becomes the sender's
                info = next((data for at, what, data in extra if (at, what) == (level, kind)), b"")
                if family == socket.AF_INET and info:
                    info = struct.pack("i4s4s", 0, info[8:12], info[8:12])
                sock.sendmsg([reply.to_wire()], [(level, kind, info)] if info else [], 0, peer)


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
    subprocess.run([*argv, "-keyout", key, "-out", certificate], check=True, capture_output=True)
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


def main() -> None:
    """The internet runs with the settings on stdin, until stdin is closed."""
    print("here", flush=True)
    settings = Settings(**json.loads(sys.stdin.readline()))
    six = any(":" in each for each in settings.addresses)
    routes = [
        f"addr add {GATEWAYS[0]}/32 dev {INTERFACE}",
        f"addr add {SERVER}/32 dev {INTERFACE}",
        f"link set {INTERFACE} up",
        *(f"route add {a}/32 dev {INTERFACE} src {SERVER}" for a in settings.addresses if ":" not in a),
        # in the main table, so that the copy's own addresses, which are longer matches, are still routed to the copy
        "route add local default dev lo table main",
    ]
    if six:
        routes += [f"addr add {GATEWAYS[1]}/64 dev {INTERFACE} nodad", f"addr add {SERVER6}/128 dev lo nodad"]
        routes += [f"route add {a}/128 dev {INTERFACE} src {SERVER6}" for a in settings.addresses if ":" in a]
        routes += ["-6 route add local ::/0 dev lo table main"]
    for line in ("link set lo up", *routes):
        subprocess.run(["ip", *line.split()], check=True, capture_output=True)
    for family in (socket.AF_INET, socket.AF_INET6) if six else (socket.AF_INET,):
        threading.Thread(target=serve_names, args=(settings, family), daemon=True).start()
    trusted = start_authority(settings) if settings.pebble else []
    print(json.dumps(trusted), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
