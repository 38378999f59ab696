"""An internet of the copy's own, in one process: name servers at every address, and Let's Encrypt.

Started by `rehearsal` in a network namespace of its own, which every address leads to that is not the copy's. Told what
to be by one line of JSON on stdin, it answers with one: the certificates to trust, and whether there is a CA.
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

HERE = ("169.254.1.1", "fe80::1")  # the copy's way out, on the cable between the two
# What every other name leads to, and where the CA looks from: Let's Encrypt's own, for a firewall may well drop addresses
# that nobody has.
SERVER, SERVER6 = "172.65.32.248", "2606:4700:60:0:f53d:5624:85c7:3a2c"
CABLE = "outside"
PEBBLE, MANAGEMENT = 14000, 15000
LETSENCRYPT = ("acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org")
# The names under which others tell a server its own address (stages/dns.py asks them).
MIRRORS = ("myip.opendns.com", "o-o.myaddr.l.google.com")
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
class Order:
    """What this internet is to be: whom `domain` leads to, and the CA at `names`, whose program is `pebble` ("": none)."""

    domain: str
    addresses: Sequence[str]  # of the copy
    public: Sequence[str]  # those that the domain leads to
    names: Sequence[str]
    port: int
    directory: str  # the path of the ACME directory
    pebble: str
    folder: str

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(vars(self)) + "\n"


def answer(order: Order, name: str, kind: str, six: bool) -> list[str]:
    """The records of a name, in presentation form: pure."""
    mine = {"A": [a for a in order.public if ":" not in a], "AAAA": [a for a in order.public if ":" in a]}
    if name in (order.domain, MIRRORS[0]):
        return mine.get(kind, [])
    if name == MIRRORS[1] and kind == "TXT":
        return [f'"{each}"' for each in mine["AAAA" if six else "A"]]
    if kind == "A" and name not in MIRRORS:
        return [SERVER]
    return []


def serve_names(order: Order, family: socket.AddressFamily) -> None:
    """Every question that comes to port 53, at whatever address, is answered from that address. Does not return."""
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
                asked = query.question[0]
                told = dns.rdatatype.to_text(asked.rdtype)
                name = asked.name.to_text(omit_final_dot=True).lower()
                if values := answer(order, name, told, family == socket.AF_INET6):
                    reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", told, *values))
                # ip(7), ipv6(7): the address that was asked becomes the sender's
                info = next((data for at, what, data in extra if (at, what) == (level, kind)), b"")
                if family == socket.AF_INET and info:
                    info = struct.pack("i4s4s", 0, info[8:12], info[8:12])
                sock.sendmsg([reply.to_wire()], [(level, kind, info)] if info else [], 0, peer)


class Front(BaseHTTPRequestHandler):
    """Pebble under Let's Encrypt's names: its directory is at /dir, everything else where Let's Encrypt has it."""

    protocol_version = "HTTP/1.1"
    server: Secure

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        """Nothing is written."""

    def pass_on(self) -> None:
        """The request has been Pebble's, and its answer is the client's."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = "/dir" if self.path in ("/directory", self.server.directory) else self.path
        upstream = http.client.HTTPSConnection("127.0.0.1", PEBBLE, timeout=60, context=_anybody())
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

    do_GET = do_POST = do_HEAD = pass_on  # noqa: N815 - the base class looks for these


class Secure(ThreadingHTTPServer):
    """Threads, each with its TLS handshake, so that one that hangs keeps nobody waiting."""

    daemon_threads = True
    context: ssl.SSLContext
    directory: str  # where clients ask for it

    def finish_request(self, request: Any, client_address: Any) -> None:
        """One connection, served; one that does not trust us is let go."""
        with contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


def _anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def start_authority(order: Order) -> list[str]:
    """The CA answers; the certificates (PEM) to trust: its front's, and the root that its own come from."""
    certificate, key = f"{order.folder}/front.pem", f"{order.folder}/front.key"
    with open(f"{order.folder}/front.conf", "w", encoding="ascii") as file:
        file.write(CERTIFICATE + ",".join(f"DNS:{name}" for name in (*order.names, "localhost")) + "\n")
    argv = ["openssl", "req", "-x509", "-config", file.name, "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*argv, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    settings = {
        "listenAddress": f"127.0.0.1:{PEBBLE}",
        "managementListenAddress": f"127.0.0.1:{MANAGEMENT}",
        "certificate": certificate,
        "privateKey": key,
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    with open(f"{order.folder}/pebble.json", "w", encoding="ascii") as file:
        json.dump({"pebble": settings}, file)
    pebble = subprocess.Popen(
        [order.pebble, "-config", file.name, "-dnsserver", "127.0.0.1:53", "-strict=false"],
        # without its habits of a test server: slow, forgetful of nonces, and fond of old authorizations
        env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # without it all this is worth nothing: whoever asks whether we are whole must hear of it
    threading.Thread(target=lambda: os._exit(pebble.wait()), daemon=True).start()
    front = Secure(("", order.port), Front)
    front.context, front.directory = context, order.directory
    threading.Thread(target=front.serve_forever, daemon=True).start()
    with open(certificate, encoding="ascii") as file:
        return [file.read(), _root()]


def _root(seconds: float = 20.0) -> str:
    """Pebble's root, made anew at each of its starts, as soon as it answers. Raises OSError when it does not."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            asked = http.client.HTTPSConnection("127.0.0.1", MANAGEMENT, timeout=5, context=_anybody())
            asked.request("GET", "/roots/0")
            return asked.getresponse().read().decode("ascii")
        threading.Event().wait(0.02)  # it tells nobody when it listens
        if time.monotonic() > end:
            raise OSError("Pebble does not answer")


def main() -> None:
    """Told on stdin what to be, it is that until stdin ends."""
    print("here", flush=True)
    order = Order(**json.loads(sys.stdin.readline()))
    six = any(":" in each for each in order.addresses)
    routes = [
        f"addr add {HERE[0]}/32 dev {CABLE}",
        f"addr add {SERVER}/32 dev {CABLE}",
        f"link set {CABLE} up",
        *(f"route add {a}/32 dev {CABLE} src {SERVER}" for a in order.addresses if ":" not in a),
        # in the main table, so that the copy's own addresses, being longer matches, still lead to the copy
        "route add local default dev lo table main",
    ]
    if six:
        routes += [f"addr add {HERE[1]}/64 dev {CABLE} nodad", f"addr add {SERVER6}/128 dev lo nodad"]
        routes += [f"route add {a}/128 dev {CABLE} src {SERVER6}" for a in order.addresses if ":" in a]
        routes += ["-6 route add local ::/0 dev lo table main"]
    for line in ("link set lo up", *routes):
        subprocess.run(["ip", *line.split()], check=True, capture_output=True)
    for family in (socket.AF_INET, socket.AF_INET6) if six else (socket.AF_INET,):
        threading.Thread(target=serve_names, args=(order, family), daemon=True).start()
    trusted = start_authority(order) if order.pebble else []
    print(json.dumps(trusted), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
