"""One question to one name server, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hermes_setup.host import Records
from hermes_setup.system import resolver
from hermes_setup.values import replace

NAME = "hermes.example.com"
V4, V6 = "198.51.100.10", "2001:db8::10"


def ok(*values: str, ttl: int) -> Records:
    return Records("ok", tuple(values), ttl)


# -- a name server ----------------------------------------------------------------------------------------------------

Reply = Callable[[bytes, bool], "bytes | None"]  # the question, and whether it came by TCP
UDP, TCP = False, True


def _one_port() -> tuple[socket.socket, socket.socket, int]:
    """Sockets of UDP and TCP with the same number, which some other program may have taken for one of them."""
    for _ in range(20):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stream.bind(("127.0.0.1", port))
        except OSError:
            udp.close()
            stream.close()
        else:
            return udp, stream, port
    raise AssertionError("no port is free for both")


@contextmanager
def name_server(reply: Reply, *, tcp: bool = True) -> Iterator[int]:
    """Answers on 127.0.0.1, UDP and TCP, at the port it gives."""
    udp, stream, port = _one_port()
    if tcp:
        stream.listen()
    over = threading.Event()

    def by_udp() -> None:
        while not over.is_set():
            wire, asker = udp.recvfrom(65535)
            if wire and (said := reply(wire, UDP)):
                udp.sendto(said, asker)

    def by_tcp() -> None:
        while not over.is_set():
            asker, _ = stream.accept()
            with asker:
                length = int.from_bytes(asker.recv(2), "big")
                if length and (said := reply(asker.recv(length), TCP)):
                    asker.sendall(len(said).to_bytes(2, "big") + said)

    threads = [threading.Thread(target=each, daemon=True) for each in ((by_udp, by_tcp) if tcp else (by_udp,))]
    for thread in threads:
        thread.start()
    try:
        yield port
    finally:
        over.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", ("127.0.0.1", port))
        if tcp:
            socket.create_connection(("127.0.0.1", port)).close()
        for thread in threads:
            thread.join(5)
        udp.close()
        stream.close()


def saying(*lines: str, code: str = "NOERROR", authority: Sequence[str] = (), truncate: bool = False) -> Reply:
    """Answers every question with these records, in zone-file form."""

    def reply(wire: bytes, by_tcp: bool) -> bytes:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rrset

        answer = dns.message.make_response(dns.message.from_wire(wire))
        answer.set_rcode(dns.rcode.from_text(code))
        if truncate and not by_tcp:
            answer.flags |= dns.flags.TC
            return answer.to_wire()
        for section, texts in ((answer.answer, lines), (answer.authority, authority)):
            for text in texts:
                name, ttl, kind, value = text.split(" ", 3)
                section.append(dns.rrset.from_text(name, int(ttl), "IN", kind, value))
        return answer.to_wire(max_size=65535)

    return reply


# -- what it says, and what is made of it ----------------------------------------------------------------------------

SOA = "example.com. 3600 SOA ns.example.com. me.example.com. 1 2 3 4 60"


@pytest.mark.parametrize(
    ("reply", "kind", "expected"),
    [
        (saying(f"{NAME}. 77 A {V4}"), "A", ok(V4, ttl=77)),
        (saying(f"{NAME}. 77 AAAA {V6}"), "AAAA", ok(V6, ttl=77)),
        (saying(f"{NAME}. 77 CNAME b.example.com.", f"b.example.com. 30 A {V4}"), "A", ok(V4, ttl=30)),
        (saying(f"{NAME}. 77 CNAME b.example.com."), "A", Records("nodata", ttl=77)),
        (saying(f"{NAME}. 77 CNAME b.example.com."), "CNAME", ok("b.example.com.", ttl=77)),
        (saying(f'{NAME}. 77 CAA 0 issue "letsencrypt.org; a=b"'), "CAA", ok('0 issue "letsencrypt.org; a=b"', ttl=77)),
        (saying(f'{NAME}. 77 TXT "{V4}"'), "TXT", ok(f'"{V4}"', ttl=77)),
        (saying(f"{NAME}. 77 NS ns.example.net."), "NS", ok("ns.example.net.", ttl=77)),
        (saying(authority=[SOA]), "A", Records("nodata", ttl=60)),
        (saying(code="NXDOMAIN", authority=[SOA]), "A", Records("nxdomain", ttl=60)),
        (saying(authority=["example.com. 60 NS ns.example.com."]), "A", Records("error")),
        (saying(code="SERVFAIL"), "A", Records("servfail")),
        (saying(code="REFUSED"), "A", Records("refused")),
        (saying(code="YXRRSET"), "A", Records("error")),
        (saying(f"{NAME}. 77 A {V4}", truncate=True), "A", ok(V4, ttl=77)),
        (lambda _wire, _tcp: None, "A", Records("timeout")),
        (lambda _wire, _tcp: b"nonsense", "A", Records("timeout")),
        (lambda wire, tcp: saying(f"{NAME}. 77 A {V4}")(bytes([wire[0] ^ 1]) + wire[1:], tcp), "A", Records("timeout")),
        (saying(f"{NAME}. 60 A {V4}", code="NXDOMAIN"), "A", Records("error")),
    ],
)
def test_what_a_server_says(reply: Reply, kind: str, expected: Records) -> None:
    with name_server(reply) as port:
        said = resolver.lookup(
            NAME, kind, server="127.0.0.1", seconds=0.4 if expected.status == "timeout" else 4, port=port
        )
    assert said == replace(expected, server="127.0.0.1")


def test_a_server_from_before_edns_is_asked_again_without() -> None:
    def old(wire: bytes, by_tcp: bool) -> bytes | None:
        import dns.message

        edns = dns.message.from_wire(wire).edns >= 0
        return saying(code="FORMERR")(wire, by_tcp) if edns else saying(f"{NAME}. 77 A {V4}")(wire, by_tcp)

    with name_server(old) as port:
        assert resolver.lookup(NAME, "A", server="127.0.0.1", port=port).values == (V4,)


def test_a_datagram_that_is_lost_is_sent_again() -> None:
    seen_before: list[bytes] = []

    def lossy(wire: bytes, by_tcp: bool) -> bytes | None:
        seen_before.append(wire)
        return saying(f"{NAME}. 77 A {V4}")(wire, by_tcp) if len(seen_before) > 1 else None

    with name_server(lossy) as port:
        assert resolver.lookup(NAME, "A", server="127.0.0.1", port=port).values == (V4,)
    assert seen_before[0] == seen_before[1]


def test_a_long_answer_whose_tcp_is_closed_is_an_error() -> None:
    with name_server(saying(truncate=True), tcp=False) as port:
        assert resolver.lookup(NAME, "A", server="127.0.0.1", port=port).status == "error"


@pytest.mark.parametrize(
    ("by_tcp", "status"),
    [
        (lambda _wire: None, "error"),  # the connection is closed without a word
        (lambda _wire: b"nonsense", "error"),
        (lambda wire: saying(f"{NAME}. 77 A {V4}")(bytes([wire[0] ^ 1]) + wire[1:], TCP), "error"),
        (lambda wire: (saying(f"{NAME}. 77 A {V4}")(wire, TCP) or b"")[:40], "error"),
    ],
    ids=["nothing", "nonsense", "another question's answer", "half an answer"],
)
def test_what_is_wrong_by_tcp_is_an_error(by_tcp: Callable[[bytes], bytes | None], status: str) -> None:
    def reply(wire: bytes, tcp: bool) -> bytes | None:
        return by_tcp(wire) if tcp else saying(truncate=True)(wire, UDP)

    with name_server(reply) as port:
        assert resolver.lookup(NAME, "A", server="127.0.0.1", port=port).status == status


def test_a_long_answer_that_never_comes_by_tcp_is_a_timeout() -> None:
    over = threading.Event()

    def reply(wire: bytes, by_tcp: bool) -> bytes | None:
        return saying(truncate=True)(wire, UDP) if not by_tcp else None if over.wait(5) else b""

    with name_server(reply) as port:
        said = resolver.lookup(NAME, "A", server="127.0.0.1", seconds=0.4, port=port)
        over.set()
    assert said.status == "timeout"


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_an_answer_cut_off_in_the_middle_of_a_record_is_fetched_by_tcp(cut: int) -> None:
    def reply(wire: bytes, by_tcp: bool) -> bytes | None:
        whole = saying(f"{NAME}. 77 A {V4}")(wire, by_tcp) or b""
        return whole if by_tcp else bytes([whole[0], whole[1], whole[2] | 2]) + whole[3 : len(whole) - cut]

    with name_server(reply) as port:
        assert resolver.lookup(NAME, "A", server="127.0.0.1", port=port).values == (V4,)


@contextmanager
def answering_first(wrong: Callable[[bytes, socket.socket], bytes | None]) -> Iterator[int]:
    """A name server by UDP that sends something else (`wrong`: the datagram to send first) before the right answer."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        udp.bind(("127.0.0.1", 0))

        def run() -> None:
            wire, asker = udp.recvfrom(65535)
            other.connect(asker)
            if (first := wrong(wire, other)) is not None:
                udp.sendto(first, asker)
            udp.sendto(saying(f"{NAME}. 77 A {V4}")(wire, UDP) or b"", asker)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield udp.getsockname()[1]
        thread.join(5)


def _from_another_port(wire: bytes, other: socket.socket) -> None:
    other.send(saying(f"{NAME}. 77 A 192.0.2.66")(wire, UDP) or b"")


def _to_another_question(wire: bytes, _other: socket.socket) -> bytes | None:
    import dns.message

    asked = dns.message.make_query("evil.example.com.", "A", id=int.from_bytes(wire[:2], "big"))
    return saying("evil.example.com. 77 A 192.0.2.66")(asked.to_wire(), UDP)


@pytest.mark.parametrize(
    "wrong",
    [
        _from_another_port,
        _to_another_question,
        lambda wire, _other: saying(f"{NAME}. 77 A 192.0.2.66")(bytes([wire[0] ^ 1]) + wire[1:], UDP),
        lambda wire, _other: wire,  # a question, not an answer
        lambda _wire, _other: b"",
        lambda wire, _other: wire[:2] + b"\x84\x00\xff\xff",
    ],
    ids=["another sender", "another question", "another id", "the question itself", "nothing", "malformed"],
)
def test_what_is_not_the_answer_is_ignored(wrong: Callable[[bytes, socket.socket], bytes | None]) -> None:
    with answering_first(wrong) as port:
        assert resolver.lookup(NAME, "A", server="127.0.0.1", port=port).values == (V4,)


def test_a_flood_of_what_is_not_the_answer_does_not_outlast_the_time() -> None:
    import dns.message
    import dns.rrset

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        stop = time.monotonic() + 4

        def flood() -> None:
            wire, asker = server.recvfrom(65535)
            other = dns.message.make_response(dns.message.from_wire(wire))
            other.id ^= 1
            addresses = (f"198.51.100.{number}" for number in range(60))  # longer to read than to send
            other.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "A", *addresses))
            junk = other.to_wire(max_size=65535)
            while time.monotonic() < stop:
                server.sendto(junk, asker)

        thread = threading.Thread(target=flood)
        thread.start()
        began = time.monotonic()
        status = resolver.lookup(NAME, "A", "127.0.0.1", 0.5, port=server.getsockname()[1]).status
        took = time.monotonic() - began
        stop = 0
        thread.join(5)
    assert (status, took < 2) == ("timeout", True), took


def test_a_server_that_answers_under_its_own_address_is_heard() -> None:
    with name_server(saying(f"{NAME}. 77 A {V4}")) as port:
        assert resolver.lookup(NAME, "A", server="0.0.0.0", port=port).values == (V4,)


def test_a_closed_port_is_told_at_once() -> None:
    with name_server(saying()) as port:
        pass
    began = time.monotonic()
    assert resolver.lookup(NAME, "A", server="127.0.0.1", seconds=30, port=port).status == "error"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name", ["x" * 64 + ".example.com", "a..b", "x." * 130 + "com"])
def test_a_name_that_cannot_be_asked_for_is_an_error(name: str) -> None:
    assert resolver.lookup(name, "A", server="127.0.0.1", port=1).status == "error"


def test_an_address_that_is_none_is_an_error() -> None:
    assert resolver.lookup(NAME, "A", server="not an address").status == "error"


def test_the_machines_own_servers_are_asked_in_turn(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# one that is not there, one that is\nsearch x\nnameserver 127.0.0.9\nnameserver 127.0.0.1\n")
    with name_server(saying(f"{NAME}. 77 A {V4}")) as port:
        assert resolver.lookup(NAME, "A", port=port, resolv_conf=str(conf)) == ok(V4, ttl=77)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", ("192.0.2.1", "2001:db8::1")),
        ("", ("127.0.0.1",)),
        ("nameserver\n;nameserver 192.0.2.1\n#nameserver 192.0.2.1\n", ("127.0.0.1",)),
        ("nameserver 1\nnameserver 2\nnameserver 3\nnameserver 4\n", ("1", "2", "3")),
    ],
)
def test_which_servers_a_machine_uses(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text(text)
    assert resolver.own_servers(str(conf)) == expected
    assert resolver.own_servers(str(tmp_path / "none")) == ("127.0.0.1",)
