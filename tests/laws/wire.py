"""Requests on the wire: byte for byte over HTTP/1, frame by frame over HTTP/2, from any address of the machine's."""

from __future__ import annotations

import select
import socket
import ssl
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from .asked import Asked

FREEBIND = 15  # IP_FREEBIND, ip(7): an address of a network that is local, though no interface has it
PATIENCE = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back; status 0: the connection, or the stream, was closed without an answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """The values of that header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value, or what there are of them; "" for none."""
        return " + ".join(self.all(name))


CLOSED = Answer(0)


def request_bytes(asked: Asked) -> bytes:
    """The request as HTTP/1 sends it."""
    version = "1.1" if asked.version == "2" else asked.version  # a site without HTTP/2 beside it
    lines = [f"{asked.method} {asked.target} HTTP/{version}".encode("latin-1", "replace")]
    if asked.host is not None:
        lines.append(b"Host: " + asked.host.encode("latin-1"))
    lines += [name + b": " + value for name, value in asked.headers]
    if asked.body and not asked.all("Transfer-Encoding") and not asked.all("Content-Length"):
        lines.append(f"Content-Length: {len(asked.body)}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + asked.body


class Connection:
    """To the site, as that request wants it. It can be used again while `usable` for requests of the same `way`."""

    def __init__(self, asked: Asked) -> None:
        self.way = way(asked)
        self.usable = True
        raw = socket.socket(socket.AF_INET6 if ":" in asked.address else socket.AF_INET)
        raw.settimeout(PATIENCE)
        try:
            raw.setsockopt(socket.SOL_IP, FREEBIND, 1)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.bind((asked.source, 0))
            raw.connect((asked.address, 443 if asked.secure else 80))
            if asked.secure:
                context = _context(two=asked.version == "2")
                self.wire: socket.socket = context.wrap_socket(raw, server_hostname=asked.sni or None)
            else:
                self.wire = raw
        except BaseException:
            raw.close()
            raise
        self._two = None
        if isinstance(self.wire, ssl.SSLSocket) and self.wire.selected_alpn_protocol() == "h2":
            config = h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
            )
            self._two = h2.connection.H2Connection(config)
            self._two.initiate_connection()
            self.wire.sendall(self._two.data_to_send())

    def close(self) -> None:
        """No longer open."""
        self.wire.close()

    def ask(self, asked: Asked) -> Answer:
        """The answer to the request."""
        try:
            answer = self._ask_two(asked) if self._two else self._ask_one(asked)
        except TimeoutError as error:
            if asked.version == "2" and asked.all("Upgrade"):
                self.usable = False
                return CLOSED
            raise AssertionError(f"no answer within {PATIENCE:.0f} s to {asked}") from error
        except (OSError, h2.exceptions.ProtocolError):
            answer = CLOSED
        self.usable = self.usable and answer is not CLOSED
        return answer

    def _ask_one(self, asked: Asked) -> Answer:
        self.wire.sendall(request_bytes(asked))
        got = b""
        while True:
            while b"\r\n\r\n" not in got:
                more = self.wire.recv(65536)
                if not more:
                    return CLOSED
                got += more
            head, _, got = got.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            status = int(first.split(" ")[1])
            if status != 100:
                break
        headers = tuple((key, value.strip(" ")) for key, _, value in (line.partition(":") for line in lines))
        answer = Answer(status, headers)
        length, closes = answer.one("Content-Length"), answer.one("Connection").lower() == "close"
        if status == 101:
            while more := self.wire.recv(65536):
                got += more
            closes = True
        elif asked.method == "HEAD" or status in (204, 304):
            pass
        elif answer.one("Transfer-Encoding") == "chunked":
            whole = b""
            while True:
                while b"\r\n" not in got:
                    got += self._more()
                size, _, got = got.partition(b"\r\n")
                while len(got) < int(size, 16) + 2:
                    got += self._more()
                whole, got = whole + got[: int(size, 16)], got[int(size, 16) + 2 :]
                if not int(size, 16):
                    break
            return self._done(Answer(status, headers, whole), got, closes)
        elif length:
            while len(got) < int(length):
                got += self._more()
            return self._done(Answer(status, headers, got[: int(length)]), got[int(length) :], closes)
        else:
            while more := self.wire.recv(65536):
                got += more
            closes = True
        return self._done(Answer(status, headers, got), b"", closes)

    def _more(self) -> bytes:
        more = self.wire.recv(65536)
        if not more:
            raise ConnectionResetError
        return more

    def _done(self, answer: Answer, left: bytes, closes: bool) -> Answer:
        # More than was asked for: what was to be a body was taken for a request.
        if left or closes or select.select([self.wire], [], [], 0)[0]:
            self.usable = False
        return answer

    def _ask_two(self, asked: Asked) -> Answer:
        two = self._two
        assert two is not None
        stream = two.get_next_available_stream_id()
        headers = [(b":method", asked.method.encode("latin-1")), (b":scheme", b"https")]
        headers += [(b":path", asked.target.encode("latin-1"))]
        if asked.host is not None:
            headers.append((b":authority", asked.host.encode("latin-1")))
        odd = not asked.plain  # frames that no library sends: names in capitals, headers of HTTP/1
        for name, value in asked.headers:
            kept = name if odd and asked.number % 2 else name.lower()
            if odd or kept not in (b"connection", b"upgrade", b"http2-settings", b"te", b"transfer-encoding"):
                headers.append((kept, value))
        # HTTP/2 knows no upgrade, and nginx 1.22 may answer nothing to who is let in and wants one all the same.
        self.wire.settimeout(1 if odd and asked.all("Upgrade") else PATIENCE)
        two.send_headers(stream, headers, end_stream=not asked.body)
        if asked.body:
            two.send_data(stream, asked.body[:16000], end_stream=True)
        self.wire.sendall(two.data_to_send())
        status, body = 0, b""
        kept_headers: tuple[tuple[str, str], ...] = ()
        while True:
            data = self.wire.recv(65536)
            if not data:
                self.usable = False
                return CLOSED
            for event in two.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream:
                    pairs = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in event.headers or ()]
                    status, kept_headers = int(dict(pairs)[":status"]), tuple(pairs)
                elif isinstance(event, h2.events.InformationalResponseReceived) and event.stream_id == stream:
                    # An upgrade, which HTTP/2 does not know: nginx sends 101 and nothing behind it.
                    if dict(event.headers or ()).get(b":status") == b"101":
                        self.usable = False
                        return Answer(101)
                elif isinstance(event, h2.events.DataReceived) and event.stream_id == stream:
                    body += event.data or b""
                    if event.flow_controlled_length:
                        two.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                    # After an answer nginx resets the rest of a body that it does not want: the answer counts.
                    self.wire.sendall(two.data_to_send())
                    return Answer(status, kept_headers, body) if status else CLOSED
                elif isinstance(event, h2.events.ConnectionTerminated):
                    self.usable = False
                    return Answer(status, kept_headers, body) if status else CLOSED
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                    self.wire.sendall(two.data_to_send())
                    return Answer(status, kept_headers, body)
            self.wire.sendall(two.data_to_send())


def way(asked: Asked) -> tuple[object, ...]:
    """Requests that agree in it can share a connection."""
    return asked.source, asked.address, asked.secure, asked.sni, asked.version == "2"


_CONTEXTS: dict[bool, ssl.SSLContext] = {}


def _context(*, two: bool) -> ssl.SSLContext:
    if two not in _CONTEXTS:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"] if two else ["http/1.1"])
        _CONTEXTS[two] = context
    return _CONTEXTS[two]
