"""One HTTP request: what is sent, and what counts as an answer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_setup.host import Request
from hermes_setup.system.http import LARGEST_BODY
from hermes_setup.system.local import Local


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(str(tmp_path))


def serve(answer: bytes) -> tuple[int, Callable[[], bytes]]:
    import socket

    server = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def one() -> None:
        with server, server.accept()[0] as peer:
            got.append(peer.recv(65536))
            peer.sendall(answer)

    thread = threading.Thread(target=one, daemon=True)
    thread.start()

    def seen() -> bytes:
        thread.join(5)
        return got[0]

    return server.getsockname()[1], seen


def test_a_request_goes_to_the_address_with_the_name_as_host(local: Local) -> None:
    port, seen = serve(b"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 2\r\n\r\nhi")
    answer = local.fetch(Request("127.0.0.1", port, "hermes.example.com", "/a?b"))
    assert (answer.status, answer.header("location"), answer.body) == (301, "https://x/", b"hi")
    assert seen() == b"GET /a?b HTTP/1.1\r\nHost: hermes.example.com\r\nConnection: close\r\n\r\n"


def test_a_body_is_read_to_its_end_or_as_much_of_it_as_may_be(local: Local) -> None:
    chunks = b"".join(b"3\r\n%03d\r\n" % number for number in range(5)) + b"0\r\n\r\n"
    port, _ = serve(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert local.fetch(Request("127.0.0.1", port, "x")).body == b"000001002003004"
    port, _ = serve(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LARGEST_BODY + 5))
    assert len(local.fetch(Request("127.0.0.1", port, "x")).body) == LARGEST_BODY


def test_an_upgrade_is_answered_with_101(local: Local) -> None:
    port, _ = serve(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
    answer = local.fetch(Request("127.0.0.1", port, "x", headers=(("Connection", "Upgrade"),)))
    assert answer.status == 101


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        (b"", 0, "Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH\r\n", 0, "not HTTP: BadStatusLine"),
        (b"HTTP/1.1 200", 200, ""),  # cut off there, but it is one
    ],
)
def test_what_is_not_http_is_no_answer(local: Local, said: bytes, status: int, error: str) -> None:
    port, _ = serve(said)
    answer = local.fetch(Request("127.0.0.1", port, "x"))
    assert (answer.status, answer.error) == (status, error)


def test_nobody_there_is_said(local: Local) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert local.fetch(Request("127.0.0.1", port, "x")).error == "refused"


def test_silence_ends_by_its_deadline(local: Local) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        answer = local.fetch(Request("127.0.0.1", server.getsockname()[1], "x", seconds=0.3))
    assert answer.error == "timeout"
    assert time.monotonic() - began < 3


def test_an_answer_that_only_drips_in_ends_by_its_deadline(local: Local) -> None:
    import socket

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            peer, _ = server.accept()
            with peer, contextlib.suppress(OSError):
                while not over.wait(0.05):
                    peer.sendall(b"H")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        answer = local.fetch(Request("127.0.0.1", server.getsockname()[1], "x", seconds=0.5))
        over.set()
        thread.join(5)
    assert answer.error == "timeout"
    assert time.monotonic() - began < 3
