"""The real package registries, for a machine that is to install something: a relay to those few names and nothing else.

In the machine's world the registries' names are this relay's address; it passes connections on, by Host or SNI,
from the network of the test run itself. What this computer needs to reach them (a CA of its own, an index) comes along.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import spaces

if TYPE_CHECKING:
    from .dns import Dns
    from .machine import Machine

HOST = Path("/run/host")  # ca.crt, pip.conf and apt.conf as tests/run found them
ADDRESS = ("198.51.100.9", "2001:db8::9")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


def _config(name: str) -> str:
    path = HOST / name
    return path.read_text("utf-8") if path.exists() else ""


def registries() -> frozenset[str]:
    """The host names that a machine may reach."""
    from pip._internal.models.index import PyPI  # the index that pip takes when nothing else is said

    urls = re.findall(r"https?://\S+", _config("pip.conf"))
    for sources in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        urls += re.findall(r"https?://\S+", sources.read_text("utf-8") if sources.exists() else "")
    urls += [word for key in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") for word in os.environ.get(key, "").split()]
    return frozenset(
        {PyPI.netloc, PyPI.file_storage_domain, *(name for url in urls if (name := urlsplit(url).hostname))}
    )


def server_name(hello: bytes) -> str | None:
    """The SNI of a TLS ClientHello record (RFC 8446, 4.1.2; RFC 6066, 3)."""
    at = 5 + 4 + 2 + 32  # record, handshake, version, random
    at += 1 + hello[at]  # session
    at += 2 + int.from_bytes(hello[at : at + 2])  # suites
    at += 1 + hello[at]  # compression
    at += 2
    while at + 4 <= len(hello):
        kind, size = int.from_bytes(hello[at : at + 2]), int.from_bytes(hello[at + 2 : at + 4])
        if kind == 0:
            return hello[at + 9 : at + 4 + size].decode("ascii")
        at += 4 + size
    return None


class Packages:
    """The relay, on ports 80 and 443 of ADDRESS until close()."""

    def __init__(self, net: int, dns: Dns) -> None:
        self._names = registries()
        self.passed: list[str] = []
        self._listeners = spaces.in_net(net, self._open)
        for name in self._names:
            dns.host(name, *ADDRESS)
        for listener in self._listeners:
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    @staticmethod
    def _open() -> list[socket.socket]:
        families = (socket.AF_INET, socket.AF_INET6)
        return [
            socket.create_server((address, port), family=family, backlog=64)
            for address, family in zip(ADDRESS, families, strict=True)
            for port in (80, 443)
        ]

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client, listener.getsockname()[1]), daemon=True).start()

    def _pass_on(self, client: socket.socket, port: int) -> None:
        with client:
            try:
                client.settimeout(30)
                first = self._first(client, port)
                name = self._wanted(first, port)
                if name not in self._names:
                    return
                self.passed.append(name)
                with socket.create_connection((name, port), 30) as server:
                    server.sendall(first)
                    for each in (client, server):
                        each.settimeout(300)
                    back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
                    back.start()
                    self._pump(client, server)
                    back.join()
            except (OSError, IndexError, UnicodeDecodeError):
                return

    @staticmethod
    def _first(client: socket.socket, port: int) -> bytes:
        """Enough of what the client says first: the whole first record, or the whole head of the request."""
        data = b""
        while chunk := client.recv(16384):
            data += chunk
            whole = len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5])
            if whole if port == 443 else b"\r\n\r\n" in data:
                break
        return data

    @staticmethod
    def _wanted(first: bytes, port: int) -> str:
        if port == 443:
            return server_name(first) or ""
        found = re.search(rb"\r\nhost:\s*([^\s:]+)", first, re.IGNORECASE)
        return found[1].decode("ascii") if found else ""

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Takes no more connections."""
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def introduce(machine: Machine) -> None:
    """The machine trusts what this computer trusts, and has its package index and its apt's patience with dates."""
    own = set(_PEM.findall(machine.text("/etc/ssl/certs/ca-certificates.crt")))
    extra = [pem for pem in _PEM.findall(_config("ca.crt")) if pem not in own]
    if extra:
        machine.trust(*extra)
    options = re.findall(r"^Acquire::Check-.*$", _config("apt.conf"), re.MULTILINE)
    if options:
        machine.write("/etc/apt/apt.conf.d/99lab", "".join(f"{line}\n" for line in options))
    lines = [line for line in _config("pip.conf").splitlines() if re.match(r"(extra-)?index-url|trusted-host", line)]
    if extra:
        lines.append("cert = /etc/ssl/certs/ca-certificates.crt")
    if lines:
        machine.write("/etc/pip.conf", "\n".join(["[global]", *lines, ""]))
