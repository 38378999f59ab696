"""A machine whose writes stay in memory: the dry run, the review screen, and (over nothing) the tests' machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone

from hermes_setup.errors import HermesSetupError
from hermes_setup.host import (
    ABSENT,
    Absent,
    Folder,
    Host,
    Listener,
    Node,
    Ran,
    Records,
    Replaceable,
    Request,
    Response,
    Special,
)


class Nothing:
    """A machine with nothing on it, and no network."""

    def look(self, path: str) -> Node:
        """Only the root folder."""
        return Folder() if path == "/" else ABSENT

    def names(self, folder: str) -> tuple[str, ...]:  # noqa: ARG002
        """None."""
        return ()

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:  # noqa: ARG002
        """There is no such command."""
        return Ran(127, "", f"{argv[0]}: no such command")

    def replaceable(self, program: str) -> tuple[Replaceable, ...]:  # noqa: ARG002
        """There is no program."""
        return ()

    def listeners(self) -> tuple[Listener, ...]:
        """None."""
        return ()

    def addresses(self) -> tuple[str, ...]:
        """None."""
        return ()

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:  # noqa: ARG002
        """No network."""
        return Records("error", server=server)

    def fetch(self, request: Request) -> Response:  # noqa: ARG002
        """Nothing listens."""
        return Response(0, error="refused")

    def given(self, fact: str) -> bool:  # noqa: ARG002
        """Nothing is."""
        return False

    def now(self) -> datetime:
        """A fixed day, so that tests read the same tomorrow."""
        return datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)


class Overlay:
    """Reads fall through to `base`, writes stay here. A command is not run; what it `gives` is taken as done."""

    def __init__(self, base: Host) -> None:
        self._base = base
        self._nodes: dict[str, Node] = {}
        self._given: set[str] = set()

    def look(self, path: str) -> Node:
        """What was put there, else what `base` has."""
        return self._nodes[path] if path in self._nodes else self._base.look(path)

    def names(self, folder: str) -> tuple[str, ...]:
        """Those of `base`, without what was removed here, and with what was put here."""
        found = set(self._base.names(folder))
        for path, node in self._nodes.items():
            if os.path.dirname(path) == folder.rstrip("/"):
                (found.discard if isinstance(node, Absent) else found.add)(os.path.basename(path))
        return tuple(sorted(found, key=os.fsencode))

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        """Falls through: it only reads."""
        return self._base.ask(argv, seconds=seconds)

    def replaceable(self, program: str) -> tuple[Replaceable, ...]:
        """Falls through."""
        return self._base.replaceable(program)

    def listeners(self) -> tuple[Listener, ...]:
        """Falls through."""
        return self._base.listeners()

    def addresses(self) -> tuple[str, ...]:
        """Falls through."""
        return self._base.addresses()

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        """Falls through."""
        return self._base.dns(name, kind, server=server, seconds=seconds)

    def fetch(self, request: Request) -> Response:
        """Falls through."""
        return self._base.fetch(request)

    def given(self, fact: str) -> bool:
        """True once a command that gives it was taken as done."""
        return fact in self._given or self._base.given(fact)

    def now(self) -> datetime:
        """Falls through."""
        return self._base.now()

    def put(self, path: str, node: Node) -> None:
        """The path holds the node here. Refuses what the real machine refuses."""
        present = self.look(path)
        if isinstance(node, Special):
            raise HermesSetupError(f"{path} is special ({node.why}) and is never written.")
        if (
            isinstance(present, Folder)
            and not isinstance(node, Folder)
            and not (isinstance(node, Absent) and not self.names(path))
        ):
            raise HermesSetupError(f"{path} is a folder and not empty.", hint=f"Other files are in it: ls -la {path}")
        if isinstance(node, Folder) and not isinstance(present, (Folder, Absent)):
            raise HermesSetupError(f"{path} could not be written: Not a directory.", hint=f"Look at: ls -la {path}")
        if not isinstance(node, Absent):
            parent = os.path.dirname(path)
            if parent != "/" and isinstance(self.look(parent), Absent):
                self.put(parent, Folder())
        self._nodes[path] = node

    def run(
        self,
        argv: Sequence[str],  # noqa: ARG002
        *,
        gives: str = "",
        stdin: bytes = b"",  # noqa: ARG002
        env: Mapping[str, str] | None = None,  # noqa: ARG002
        seconds: float = 600.0,  # noqa: ARG002
    ) -> Ran:
        """Not run; what it would give is taken as done."""
        if gives:
            self._given.add(gives)
        return Ran(0, "", "")

    def wait(self, condition: Callable[[], bool], *, seconds: float) -> bool:  # noqa: ARG002
        """True: nothing was run that could be waited for."""
        return True

    def touches(self) -> bool:
        """Never."""
        return False
