"""Questions to name servers, one at a time: what was said, or in which way nothing was.

Only messages are dnspython's; the sockets are ours, because a *connected* UDP socket reports at once that nobody is
there (ICMP errors, udp(7)), and in a dead network that is the difference between now and the deadline.
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
MOST_SERVERS = 3  # MAXNS, resolv.conf(5)
PAYLOAD = 1232  # bytes that cross every network unfragmented (DNS flag day 2020)
SEND_AGAIN = 0.8  # seconds; a datagram that is lost is lost silently
DEFINITE = frozenset({"ok", "nodata", "nxdomain"})  # an answer about the name, not about the server


def lookup(  # noqa: PLR0913 - name and kind, the rest by its name
    name: str, kind: str, server: str = "", seconds: float = 3.0, *, port: int = 53, resolv_conf: str = RESOLV_CONF
) -> Records:
    """What that server says of the name, within `seconds` in all; never raises for what networks and servers do.

    `server` "" asks the servers of `resolv_conf` in their order, each for its share of the time, until one gives an
    answer about the name. CNAMEs that the answer holds are followed. `ttl` is the least of the chain, and of a negative
    answer how long it may be cached (RFC 2308 section 5). A referral to other servers is no answer: "error".
    """
    until = time.monotonic() + seconds
    if server:
        return _ask(name, kind, server, port, until)
    last = Records("error")
    servers = own_servers(resolv_conf)
    for number, each in enumerate(servers):
        share = (until - time.monotonic()) / (len(servers) - number)
        said = _ask(name, kind, each, port, time.monotonic() + share)
        last = Records(said.status, said.values, said.ttl)
        if said.status in DEFINITE:
            break
    return last


def own_servers(resolv_conf: str = RESOLV_CONF) -> tuple[str, ...]:
    """The name servers this machine is set to use; itself where nothing is said (resolv.conf(5))."""
    try:
        with open(resolv_conf, encoding="ascii", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        words = []
    named = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple(named[:MOST_SERVERS]) or ("127.0.0.1",)


def _ask(name: str, kind: str, server: str, port: int, until: float) -> Records:
    import dns.exception
    import dns.message
    import dns.rcode

    try:
        query = dns.message.make_query(name.rstrip(".") + ".", kind, use_edns=0, payload=PAYLOAD)
        answer = _exchange(query, server, port, until)
        if answer.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            # Servers from before EDNS say one of these two (RFC 6891 section 7).
            query = dns.message.make_query(name.rstrip(".") + ".", kind)
            answer = _exchange(query, server, port, until)
        return _read(answer, server)
    except TimeoutError:
        return Records("timeout", server=server)
    except (OSError, ValueError, dns.exception.DNSException):
        return Records("error", server=server)


def _exchange(query: dns.message.Message, server: str, port: int, until: float) -> dns.message.Message:
    """The server's answer: by UDP, or by TCP where it does not fit. Raises TimeoutError, OSError."""
    import dns.flags

    family, _, _, _, address = socket.getaddrinfo(
        server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )[0]
    answer = _by_udp(query, family, address, until)
    return _by_tcp(query, family, address, until) if answer.flags & dns.flags.TC else answer


def _by_udp(query: dns.message.Message, family: int, address: object, until: float) -> dns.message.Message:
    wire = query.to_wire()
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        send_at = time.monotonic()
        wait = SEND_AGAIN
        while True:
            now = time.monotonic()
            if now >= until:
                raise TimeoutError
            if now >= send_at:
                sock.send(wire)
                send_at, wait = now + wait, wait * 2
            sock.settimeout(max(0.001, min(until, send_at) - now))
            with contextlib.suppress(TimeoutError):
                answer = _parse(sock.recv(65535), query)
                if answer is not None:
                    return answer


def _by_tcp(query: dns.message.Message, family: int, address: object, until: float) -> dns.message.Message:
    """RFC 7766: two bytes of length before each message."""
    wire = query.to_wire()
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(_left(until))
        sock.connect(address)  # type: ignore[arg-type]
        sock.sendall(len(wire).to_bytes(2, "big") + wire)
        length = int.from_bytes(_receive(sock, 2, until), "big")
        answer = _parse(_receive(sock, length, until), query)
    if answer is None:
        raise ValueError("not an answer to this question")
    return answer


def _receive(sock: socket.socket, count: int, until: float) -> bytes:
    got = b""
    while len(got) < count:
        sock.settimeout(_left(until))
        part = sock.recv(count - len(got))
        if not part:
            raise ConnectionResetError
        got += part
    return got


def _left(until: float) -> float:
    if (left := until - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _parse(wire: bytes, query: dns.message.Message) -> dns.message.Message | None:
    """The message, None where it is not the answer to this query (RFC 5452 section 9.1: then go on waiting)."""
    import dns.exception
    import dns.message

    try:
        answer = dns.message.from_wire(wire, ignore_trailing=True, raise_on_truncation=True)
    except dns.message.Truncated as error:
        # It may end in the middle of a record; its TC flag is all that is wanted of it.
        answer = error.message()  # type: ignore[no-untyped-call]
    except (dns.exception.DNSException, ValueError):
        return None
    return answer if query.is_response(answer) else None


def _read(answer: dns.message.Message, server: str) -> Records:
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
