"""The world's DNS: what every public resolver and the authoritative server say, as a test tells it."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from . import spaces

Failure = Literal["SERVFAIL", "REFUSED", "NXDOMAIN", "silence"]

AUTHORITY = ("198.51.100.53", "2001:db8::53")
RESOLVERS = ("1.1.1.1", "8.8.8.8", "9.9.9.9", "2606:4700:4700::1111", "2001:4860:4860::8888", "2620:fe::fe")
OPENDNS = ("208.67.222.222", "2620:119:35::35")
GOOGLE_NS = ("216.239.32.10", "2001:4860:4802:32::a")
ADDRESSES = (*AUTHORITY, *RESOLVERS, *OPENDNS, *GOOGLE_NS)

NAMESERVER = "ns.world.test"


@dataclass(frozen=True)
class Asked:
    """One question that came in: at which of our addresses, from whom, for what."""

    at: str
    by: str
    name: str
    type: str


def _key(name: str) -> str:
    return name.rstrip(".").lower()


class Dns:
    """Answers on every address of ADDRESSES, UDP and TCP, until close(). Changes count from the next question on."""

    def __init__(self, net: int) -> None:
        self.asked: list[Asked] = []
        self._records: dict[tuple[str | None, str, str], tuple[int, tuple[str, ...]]] = {}
        self._failures: dict[tuple[str | None, str, str | None], Failure] = {}
        self._seen_as: dict[int, str] = {}
        self._lock = threading.Lock()
        self._defaults()
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = spaces.in_net(net, self._open)
        for each in self._sockets:
            self._selector.register(each, selectors.EVENT_READ)
        self._wake, waker = socket.socketpair()
        self._waker = waker
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="dns", daemon=True)
        self._thread.start()

    # What a test says.

    def set(self, name: str, type: str, *values: str, at: str | None = None, ttl: int = 60) -> None:
        """The name has these records of this type and no others; no values: none of the type, but the name exists.

        A failure that was set for that name and type is over.
        `at` limits it to one of our addresses, which then differs from the rest. Values are in zone-file form
        (TXT in quotes, CAA as `0 issue "letsencrypt.org"`).
        """
        for value in values:
            dns.rdata.from_text("IN", type, value, origin=dns.name.root, relativize=False)
        with self._lock:
            self._records[at, _key(name), type.upper()] = (ttl, values)
            self._failures.pop((at, _key(name), type.upper()), None)

    def host(self, name: str, v4: str | None = None, v6: str | None = None) -> None:
        """The name has exactly these addresses."""
        self.set(name, "A", *([v4] if v4 else []))
        self.set(name, "AAAA", *([v6] if v6 else []))

    def remove(self, name: str) -> None:
        """Nothing is known of the name, and no failure set for it."""
        with self._lock:
            for key in [key for key in self._records if key[1] == _key(name)]:
                del self._records[key]
            for fail in [fail for fail in self._failures if fail[1] == _key(name)]:
                del self._failures[fail]

    def fail(self, name: str, type: str | None, how: Failure, *, at: str | None = None) -> None:
        """Questions for the name (every name: "*"), of that type (None: any), come to this end."""
        with self._lock:
            self._failures[at, _key(name), type and type.upper()] = how

    def clear(self) -> None:
        """As on the first day: no records of a test's own, no failures."""
        with self._lock:
            self._records.clear()
            self._failures.clear()
            self._seen_as.clear()
            self.asked.clear()
        self._defaults()

    def seen_as(self, v4: str | None = None, v6: str | None = None) -> None:
        """What "which is my address" services answer, instead of the asker's own (as behind NAT)."""
        self._seen_as = {n: a for n, a in ((4, v4), (6, v6)) if a}

    def addresses(self, name: str) -> list[str]:
        """The A and AAAA values of a name, CNAMEs followed, IPv4 first."""
        key = _key(name)
        for _ in range(8):
            alias = self._records.get((None, key, "CNAME"))
            if not alias or not alias[1]:
                break
            key = _key(alias[1][0])
        return [a for t in ("A", "AAAA") for a in self._records.get((None, key, t), (0, ()))[1]]

    def close(self) -> None:
        """No longer answers."""
        self._waker.send(b"x")
        self._thread.join(5)
        for each in (*self._sockets, self._wake, self._waker):
            each.close()
        self._selector.close()

    # How it answers.

    def _defaults(self) -> None:
        for name, (v4, v6) in (
            (NAMESERVER, AUTHORITY),
            ("resolver1.opendns.com", OPENDNS),
            ("ns1.google.com", GOOGLE_NS),
        ):
            self.host(name, v4, v6)

    def _open(self) -> list[socket.socket]:
        opened = []
        for address in (*ADDRESSES, "127.0.0.1"):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                each = socket.socket(family, kind)
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                each.bind((address, 53))
                if kind == socket.SOCK_STREAM:
                    each.listen(32)
                opened.append(each)
        return opened

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                each = key.fileobj
                assert isinstance(each, socket.socket)
                if each is self._wake:
                    return
                try:
                    if each.type == socket.SOCK_STREAM:
                        peer, _ = each.accept()
                        threading.Thread(target=self._converse, args=(peer,), daemon=True).start()
                    else:
                        packet, by = each.recvfrom(4096)
                        reply = self._reply(packet, each.getsockname()[0], by[0])
                        if reply is not None:
                            each.sendto(reply, by)
                except OSError:  # the asker is gone
                    continue

    def _converse(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            peer.settimeout(10)
            try:
                while len(head := stream.read(2)) == 2:
                    packet = stream.read(struct.unpack("!H", head)[0])
                    reply = self._reply(packet, peer.getsockname()[0], peer.getpeername()[0])
                    if reply is not None:
                        peer.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                return

    def _reply(self, packet: bytes, at: str, by: str) -> bytes | None:
        try:
            query = dns.message.from_wire(packet)
        except dns.exception.DNSException:
            return None
        if not query.question:
            return None
        question = query.question[0]
        name, kind = question.name, dns.rdatatype.to_text(question.rdtype)
        key = _key(name.to_text())
        reply = dns.message.make_response(query, recursion_available=at not in AUTHORITY)
        if at in AUTHORITY:
            reply.flags |= dns.flags.AA
        with self._lock:
            self.asked.append(Asked(at, by, key, kind))
            how = self._failure(at, key, kind)
            if how == "silence":
                return None
            if how is not None:
                reply.set_rcode(dns.rcode.from_text(how))
            else:
                self._answer(reply, name, kind, at, by)
        return reply.to_wire(max_size=65535)

    def _failure(self, at: str, key: str, kind: str) -> Failure | None:
        for name in (key, "*"):
            for where in (at, None):
                for wanted in (kind, None):
                    if how := self._failures.get((where, name, wanted)):
                        return how
        return None

    def _known(self, at: str, key: str, kind: str) -> tuple[int, tuple[str, ...]] | None:
        return self._records.get((at, key, kind)) or self._records.get((None, key, kind))

    def _exists(self, at: str, key: str) -> bool:
        return any(
            name == key or name.endswith("." + key) for where, name, _ in self._records if where is None or where == at
        )

    def _apex(self, key: str) -> str | None:
        """The zone of a name: where a test put a SOA or NS, else its last two labels if we know any name there."""
        labels = key.split(".")
        for start in range(len(labels) - 1):
            name = ".".join(labels[start:])
            if any((None, name, kind) in self._records for kind in ("SOA", "NS")):
                return name
        last = ".".join(labels[-2:])
        return last if len(labels) >= 2 and self._exists("", last) else None

    def _answer(self, reply: dns.message.Message, name: dns.name.Name, kind: str, at: str, by: str) -> None:
        key = _key(name.to_text())
        mine = self._seen_as.get(6 if ":" in by else 4, by)
        if key == "myip.opendns.com":
            if kind == ("AAAA" if ":" in mine else "A"):
                self._add(reply.answer, name, kind, 0, (mine,))
            return
        if key == "o-o.myaddr.l.google.com":
            if kind == "TXT":
                self._add(reply.answer, name, kind, 0, (f'"{mine}"',))
            return
        for _ in range(8):
            found = self._known(at, key, kind)
            if found and found[1]:
                self._add(reply.answer, name, kind, *found)
                return
            alias = self._known(at, key, "CNAME")
            if not alias or not alias[1] or kind == "CNAME":
                break
            self._add(reply.answer, name, "CNAME", *alias)
            key = _key(alias[1][0])
            name = dns.name.from_text(key)
        apex = self._apex(key)
        soa = (f"{NAMESERVER}. hostmaster.{apex}. 1 7200 3600 1209600 60",) if apex else ()
        if key == apex and kind == "SOA":
            self._add(reply.answer, name, "SOA", 60, soa)
        elif key == apex and kind == "NS" and found is None:
            self._add(reply.answer, name, "NS", 60, (NAMESERVER + ".",))
        else:
            if not self._exists(at, key):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            if apex:
                self._add(reply.authority, dns.name.from_text(apex), "SOA", 60, soa)

    @staticmethod
    def _add(section: list[dns.rrset.RRset], name: dns.name.Name, kind: str, ttl: int, values: tuple[str, ...]) -> None:
        rdatas = [dns.rdata.from_text("IN", kind, value, origin=dns.name.root, relativize=False) for value in values]
        section.append(dns.rrset.from_rdata_list(name, ttl, rdatas))
