"""A machine at one moment: what several stages ask of it, or read, side by side is asked once, and told to each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

from hermes_setup.host import Host, Listener, Node, Ran, Records, Request, Response

T = TypeVar("T")


class CachedHost:
    """Reads of `host`. Commands, files, sockets, addresses and requests are remembered for as long as this lives."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = Lock()
        self._turns: dict[Hashable, Lock] = {}  # one asks, the others wait
        self._told: dict[Hashable, Any] = {}
        self._nodes: dict[str, Node] = {}
        self._names: dict[str, tuple[str, ...]] = {}

    def _once(self, question: Hashable, ask: Callable[[], T]) -> T:
        with self._lock:
            turn = self._turns.setdefault(question, Lock())
        with turn:
            if question not in self._told:
                self._told[question] = ask()
            told: T = self._told[question]
        return told

    def look(self, path: str) -> Node:
        """Read once; twice where two ask in the same instant, and then the first answer counts."""
        node = self._nodes.get(path)
        return node if node is not None else self._nodes.setdefault(path, self._host.look(path))

    def names(self, folder: str) -> tuple[str, ...]:
        """Likewise."""
        names = self._names.get(folder)
        return names if names is not None else self._names.setdefault(folder, self._host.names(folder))

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        """The command has run once, whoever asked first."""
        return self._once(("ask", *argv), lambda: self._host.ask(argv, seconds=seconds))

    def listeners(self) -> tuple[Listener, ...]:
        """Read once."""
        return self._once("listeners", self._host.listeners)

    def addresses(self) -> tuple[str, ...]:
        """Read once."""
        return self._once("addresses", self._host.addresses)

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        """Not remembered: each look-up has a deadline of its own, and the answer of one is no answer to another."""
        return self._host.dns(name, kind, server=server, seconds=seconds)

    def fetch(self, request: Request) -> Response:
        """Sent once."""
        return self._once(request, lambda: self._host.fetch(request))

    def given(self, fact: str) -> bool:
        """As below."""
        return self._host.given(fact)

    def now(self) -> datetime:
        """Read once, so that all stages speak of the same time."""
        return self._once("now", self._host.now)
