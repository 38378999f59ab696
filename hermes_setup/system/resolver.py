"""Queries to name servers, one at a time: what the server answered, or how the look-up failed.

The UDP socket is ours, because a *connected* one reports at once that no one is there (ICMP errors, udp(7)), and in a dead
network that is the difference between now and the deadline. Everything else is dnspython's.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from hermes_setup.host import Records

if TYPE_CHECKING:
    import dns.message

RESOLV_CONF = "/etc/resolv.conf"
MAX_SERVERS = 3  # MAXNS, resolv.conf(5)
PAYLOAD = 1232  # bytes that cross every network unfragmented (DNS flag day 2020)
SEND_AGAIN = 0.8  # seconds; a datagram that is lost is lost silently
DEFINITE = frozenset({"ok", "nodata", "nxdomain"})  # an answer about the name, not about the server


def lookup(  # noqa: PLR0913 - name and kind, the rest by its name
    name: str, kind: str, server: str = "", seconds: float = 3.0, *, port: int = 53, resolv_conf: str = RESOLV_CONF
) -> Records:
    """What that server says about the name, within `seconds` in all; never raises for what networks and servers do.

    `server` "" asks the servers of `resolv_conf` in their order, each for its share of the time, until one gives an
    answer about the name. CNAMEs in the answer are followed. `ttl` is the smallest in the chain; for a negative answer,
    how long it may be cached (RFC 2308 section 5). A referral to other servers is not an answer: "error".
    """
    deadline = time.monotonic() + seconds
    if server:
        return _query(name, kind, server, port, deadline)
    last = Records("error")
    servers = own_servers(resolv_conf)
    for number, each in enumerate(servers):
        share = (deadline - time.monotonic()) / (len(servers) - number)
        reply = _query(name, kind, each, port, time.monotonic() + share)
        last = Records(reply.status, reply.values, reply.ttl)
        if reply.status in DEFINITE:
            break
    return last


def own_servers(resolv_conf: str = RESOLV_CONF) -> tuple[str, ...]:
    """The name servers that this machine is set to use; this machine itself where none is named (resolv.conf(5))."""
    try:
        with open(resolv_conf, encoding="ascii", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        words = []
    named = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple(named[:MAX_SERVERS]) or ("127.0.0.1",)


def _query(name: str, kind: str, server: str, port: int, deadline: float) -> Records:
    """What that one server says."""
    import dns.exception
    import dns.message
    import dns.rcode

    try:
        query = dns.message.make_query(name.rstrip(".") + ".", kind, use_edns=0, payload=PAYLOAD)
        answer = _exchange(query, server, port, deadline)
        if answer.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            # Servers from before EDNS say one of these two (RFC 6891 section 7).
            query = dns.message.make_query(name.rstrip(".") + ".", kind)
            answer = _exchange(query, server, port, deadline)
        return _records(answer, server)
    except (TimeoutError, dns.exception.Timeout):
        return Records("timeout", server=server)
    except (OSError, EOFError, ValueError, dns.exception.DNSException):
        return Records("error", server=server)


def _exchange(query: dns.message.Message, server: str, port: int, deadline: float) -> dns.message.Message:
    """The server's answer: by UDP, or by TCP where it does not fit. Raises what networks and malformed messages raise."""
    import dns.message
    import dns.query

    try:
        return _by_udp(query, server, port, deadline)
    except dns.message.Truncated:
        return dns.query.tcp(query, server, _left(deadline), port, ignore_trailing=True)


class _Socket(socket.socket):
    """Has nothing more to read after its time. dnspython looks at the clock only when nothing waits to be read."""

    expiration = 0.0  # by time.time()

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, object]:
        """As a socket that does not block."""
        if time.time() >= self.expiration:
            raise BlockingIOError
        return super().recvfrom(bufsize, flags)


def _by_udp(query: dns.message.Message, server: str, port: int, deadline: float) -> dns.message.Message:
    """The server's answer. What is no answer to this query is ignored (RFC 5452 section 9.1). Raises Truncated."""
    import dns.exception
    import dns.query

    family, _, _, _, address = socket.getaddrinfo(
        server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )[0]
    with _Socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        wire = query.to_wire()
        wait = SEND_AGAIN
        while True:  # the same query is sent again: an answer to any of them counts
            sock.expiration = expiration = time.time() + min(
                wait, _left(deadline)
            )  # the wall clock, as dns.query has it
            with contextlib.suppress(dns.exception.Timeout):
                # No destination: only the connected server is heard, and 0.0.0.0 or fe80::1%eth0 answer by another name.
                dns.query.send_udp(sock, wire, None, expiration)
                received = dns.query.receive_udp(
                    sock,
                    None,
                    expiration,
                    ignore_trailing=True,
                    raise_on_truncation=True,
                    ignore_errors=True,
                    query=query,
                )
                answer: dns.message.Message = received[0]
                return answer
            wait *= 2


def _left(deadline: float) -> float:
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _records(answer: dns.message.Message, server: str) -> Records:
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype

    code = answer.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        named = {dns.rcode.SERVFAIL: "servfail", dns.rcode.REFUSED: "refused", dns.rcode.NOTAUTH: "refused"}
        return Records(named.get(code, "error"), server=server)
    if not isinstance(answer, dns.message.QueryMessage):
        return Records("error", server=server)
    chain = answer.resolve_chaining()
    if code == dns.rcode.NXDOMAIN:
        return Records("nxdomain", ttl=chain.minimum_ttl, server=server)
    if chain.answer is None:
        seen = {record.rdtype for record in answer.authority}
        referral = dns.rdatatype.NS in seen and dns.rdatatype.SOA not in seen and not answer.flags & dns.flags.AA
        if referral and not chain.cnames:
            return Records("error", server=server)
        return Records("nodata", ttl=chain.minimum_ttl, server=server)
    values = tuple(sorted(record.to_text() for record in chain.answer))
    return Records("ok", values, chain.minimum_ttl, server)
