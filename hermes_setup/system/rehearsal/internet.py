"""An internet of the copy's own, in one process: name servers at every address, and Let's Encrypt.

Started by `network` in a network namespace of its own, to which every address is routed that is not the copy's. Its
settings are one line of JSON on stdin; it answers with one: the certificates to trust, none where there is no CA.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence

from hermes_setup.system.processes import program
from hermes_setup.system.rehearsal.authority import start_authority
from hermes_setup.values import dataclass

GATEWAYS = ("169.254.1.1", "fe80::1")  # of the copy, on the link between the two
# What every other name points to, and where the CA connects from: Let's Encrypt's own, because a firewall may drop addresses
# that are not in use.
SERVER, SERVER6 = "172.65.32.248", "2606:4700:60:0:f53d:5624:85c7:3a2c"
INTERFACE = "outside"
LETSENCRYPT = ("acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org")
# Names whose records are the address that asks for them (stages/dns asks for them).
OWN_ADDRESS = ("myip.opendns.com", "o-o.myaddr.l.google.com")
PKTINFO = {socket.AF_INET: (socket.IPPROTO_IP, 8), socket.AF_INET6: (socket.IPPROTO_IPV6, 50)}  # linux/in.h, in6.h
RECEIVE_PKTINFO = {socket.AF_INET: 8, socket.AF_INET6: 49}


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
        subprocess.run(["ip", *line.split()], executable=program("ip"), check=True, capture_output=True)
    for family in (socket.AF_INET, socket.AF_INET6) if six else (socket.AF_INET,):
        threading.Thread(target=serve_names, args=(settings, family), daemon=True).start()
    trusted = start_authority(settings) if settings.pebble else []
    print(json.dumps(trusted), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
