"""Between two changes, nothing is read or asked twice."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from hermes_setup.engine.cached import CachedHost
from hermes_setup.host import ABSENT, File, Listener, Ran, Records, Request, Response
from hermes_setup.system.overlay import Nothing, Overlay


def test_at_one_moment_each_path_is_read_once() -> None:
    below = Overlay(Nothing())
    below.put("/etc/a", File(b"first"))
    moment = CachedHost(below)
    assert (moment.look("/etc/a"), moment.names("/etc"), moment.look("/etc/b")) == (File(b"first"), ("a",), ABSENT)
    below.put("/etc/a", File(b"second"))
    below.put("/etc/b", File(b"new"))
    assert (moment.look("/etc/a"), moment.names("/etc"), moment.look("/etc/b")) == (File(b"first"), ("a",), ABSENT)
    assert CachedHost(below).look("/etc/a") == File(b"second")


def test_at_one_moment_each_question_is_asked_once_whoever_asks() -> None:
    from concurrent.futures import ThreadPoolExecutor

    class Counting(Nothing):
        asked = 0

        def ask(self, argv: object, *, seconds: float = 4.0) -> Ran:
            self.asked += 1
            number = self.asked
            time.sleep(0.02)  # the others come meanwhile
            return Ran(0, str(number), "")

    below = Counting()
    moment = CachedHost(below)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: moment.ask(["nginx", "-v"]).out, range(50)))
    assert set(told) == {"1"}
    assert moment.ask(["other"]).out == "2"
    assert CachedHost(below).ask(["nginx", "-v"]).out == "3"


def test_of_all_else_only_dns_is_asked_again() -> None:
    class Changing(Nothing):
        looks = 0

        def number(self) -> int:
            self.looks += 1
            return self.looks

        def listeners(self) -> tuple[Listener, ...]:
            return (Listener("127.0.0.1", self.number()),)

        def addresses(self) -> tuple[str, ...]:
            return (f"198.51.100.{self.number()}",)

        def fetch(self, request: Request) -> Response:
            return Response(self.number())

        def now(self) -> datetime:
            return super().now() + timedelta(days=self.number())

        def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
            return Records("ok", (str(self.number()),))

    moment = CachedHost(Changing())
    one, other = Request("127.0.0.1", 80, "x"), Request("127.0.0.1", 81, "x")

    def kept() -> tuple[object, ...]:
        return moment.listeners(), moment.addresses(), moment.fetch(one), moment.fetch(other), moment.now()

    first = kept()
    expected = ((Listener("127.0.0.1", 1),), ("198.51.100.2",), Response(3), Response(4))
    assert first == (*expected, Nothing().now() + timedelta(days=5))
    assert kept() == first
    assert [moment.dns("x", "A").values for _ in range(2)] == [("6",), ("7",)]
