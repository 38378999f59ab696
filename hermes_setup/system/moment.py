"""A machine at one moment: what several stages ask of it side by side is asked once, and told to each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

from hermes_setup.host import Host, Listener, Node, Ran, Records, Request, Response

T = TypeVar("T")


class Moment:
    """Reads of `host`. Commands, sockets, addresses and requests are remembered for as long as this lives."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._told: dict[Hashable, Future[Any]] = {}
        self._lock = Lock()

    def _once(self, question: Hashable, ask: Callable[[], T]) -> T:
        with self._lock:
            answer = self._told.get(question)
            mine = answer is None
            if answer is None:
                answer = self._told[question] = Future()
        if mine:
            try:
                answer.set_result(ask())
            except BaseException as error:
                answer.set_exception(error)
                raise
        told: T = answer.result()
        return told

    def look(self, path: str) -> Node:
        """Not remembered: reading is as quick."""
        return self._host.look(path)

    def names(self, folder: str) -> tuple[str, ...]:
        """Likewise."""
        return self._host.names(folder)

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
        """Not remembered: its one stage asks with deadlines of its own."""
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
