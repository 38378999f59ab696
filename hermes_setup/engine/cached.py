"""A machine at one moment: what several stages look at, at the same time, is looked at once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

from hermes_setup.host import Host, Listener, Node, Ran, Records, Replaceable, Request, Response

T = TypeVar("T")


class CachedHost:
    """Reads of `host`. Files, commands, sockets, addresses and requests are read once, and kept as long as this object."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = Lock()
        self._locks: dict[Hashable, Lock] = {}  # the first asks, the others wait
        self._answers: dict[Hashable, Any] = {}
        self._nodes: dict[str, Node] = {}
        self._names: dict[str, tuple[str, ...]] = {}

    def _once(self, question: Hashable, ask: Callable[[], T]) -> T:
        with self._lock:
            lock = self._locks.setdefault(question, Lock())
        with lock:
            if question not in self._answers:
                self._answers[question] = ask()
            answer: T = self._answers[question]
        return answer

    def look(self, path: str) -> Node:
        """Read once; or twice, where two ask at the same instant: then the first answer counts."""
        node = self._nodes.get(path)
        return node if node is not None else self._nodes.setdefault(path, self._host.look(path))

    def names(self, folder: str) -> tuple[str, ...]:
        """Likewise."""
        names = self._names.get(folder)
        return names if names is not None else self._names.setdefault(folder, self._host.names(folder))

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        """Run once."""
        return self._once(("ask", *argv), lambda: self._host.ask(argv, seconds=seconds))

    def replaceable(self, program: str) -> tuple[Replaceable, ...]:
        """Looked at once."""
        return self._once(("replaceable", program), lambda: self._host.replaceable(program))

    def listeners(self) -> tuple[Listener, ...]:
        """Read once."""
        return self._once("listeners", self._host.listeners)

    def addresses(self) -> tuple[str, ...]:
        """Read once."""
        return self._once("addresses", self._host.addresses)

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        """Not kept: each look-up has its own deadline, and one that timed out says nothing about another."""
        return self._host.dns(name, kind, server=server, seconds=seconds)

    def fetch(self, request: Request) -> Response:
        """Sent once."""
        return self._once(request, lambda: self._host.fetch(request))

    def given(self, fact: str) -> bool:
        """As `host` says."""
        return self._host.given(fact)

    def now(self) -> datetime:
        """Read once, so that all stages use the same time."""
        return self._once("now", self._host.now)
