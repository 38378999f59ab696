"""Between two changes, nothing is read or asked twice."""

from __future__ import annotations

from hermes_setup.engine.cached import CachedHost
from hermes_setup.host import ABSENT, File, Ran
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
            return Ran(0, str(self.asked), "")

    below = Counting()
    moment = CachedHost(below)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: moment.ask(["nginx", "-v"]).out, range(50)))
    assert set(told) == {"1"}
    assert moment.ask(["other"]).out == "2"
    assert CachedHost(below).ask(["nginx", "-v"]).out == "3"
