"""The machine this runs on: its files (`files`), commands (`processes`), sockets, and the network around it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone

from hermes_setup import log as log_lines
from hermes_setup.errors import CommandFailed
from hermes_setup.host import Absent, Listener, Node, Ran, Records, Replaceable, Request, Response
from hermes_setup.system import files, processes


class Local:
    """Reads and writes of this very machine. `root` puts every path below another folder (for tests).

    `log` is called with one line for each command and each path written: see `hermes_setup.log`.
    """

    def __init__(self, root: str = "/", log: Callable[[str], None] = lambda _line: None) -> None:
        self._root = root.rstrip("/")
        self._log = log
        self._queries = processes.Queries()
        self.on_line: Callable[[str], None] = lambda _line: None
        """Is called with what a command of `run` prints, as it prints it; see `processes.run`."""

    # -- reads ------------------------------------------------------------------------------------------------------

    def look(self, path: str) -> Node:
        """See `Files.look`."""
        return files.look(self._root + path)

    def names(self, folder: str) -> tuple[str, ...]:
        """See `Files.names`."""
        return files.names(self._root + folder)

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        """See `Host.ask`."""
        return self._queries.ask(argv, seconds)

    def replaceable(self, program: str) -> tuple[Replaceable, ...]:
        """See `Host.replaceable`."""
        return processes.replaceable_parts(program, self._root)

    def kill_queries(self) -> None:
        """No command of `ask` runs any more: for a process that ends while its other threads still wait for one."""
        self._queries.kill_all()

    def listeners(self) -> tuple[Listener, ...]:
        """See `Host.listeners`."""
        from hermes_setup.system import sockets

        return sockets.listeners()

    def addresses(self) -> tuple[str, ...]:
        """See `Host.addresses`."""
        from hermes_setup.system import sockets

        return sockets.addresses()

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        """See `Host.dns`."""
        from hermes_setup.system import resolver

        return resolver.lookup(name, kind, server=server, seconds=seconds)

    def fetch(self, request: Request) -> Response:
        """See `Host.fetch`."""
        from hermes_setup.system import http

        return http.fetch(request)

    def given(self, fact: str) -> bool:  # noqa: ARG002 - here everything is seen, nothing is taken as done
        """Never: this machine shows what it is."""
        return False

    def now(self) -> datetime:
        """See `Host.now`."""
        return datetime.now(timezone.utc)

    # -- writes -----------------------------------------------------------------------------------------------------

    def put(self, path: str, node: Node) -> None:
        """See `System.put`."""
        if line := log_lines.put_line(path, removed=isinstance(node, Absent)):
            self._log(line)
        files.put(self._root + path, node, path)

    def run(
        self,
        argv: Sequence[str],
        *,
        gives: str = "",  # noqa: ARG002 - the machine shows it
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float = 600.0,
    ) -> Ran:
        """See `System.run`."""
        self._log(log_lines.run_line(argv))
        try:
            ran = processes.run(argv, stdin=stdin, env=env or {}, seconds=seconds, on_line=self.on_line)
        except CommandFailed as failed:
            self._log(log_lines.ended_line(argv, failed.code))
            raise
        self._log(log_lines.ended_line(argv, 0))
        return ran

    def wait(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """See `System.wait`. For effects that nothing announces, so they are looked at every 20 ms."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            signal.sigtimedwait((), 0.02)  # a pause that a signal ends at once
        return True

    def touches(self) -> bool:
        """Always."""
        return True
