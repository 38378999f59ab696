"""The copy, seen from inside: a Local with its own files and network, and the process that answers calls to it."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import threading

from hermes_setup.errors import HermesSetupError
from hermes_setup.host import Listener
from hermes_setup.system.local import Local
from hermes_setup.system.rehearsal import files, network
from hermes_setup.system.rehearsal.rehearsal import Machine, Scenario


class Copy(Local):
    """A Local of the copy. `net` is an open file: the machine's own network namespace, for downloads only."""

    def __init__(self, root: str, net: int) -> None:
        super().__init__(root)
        self._net = f"/proc/{os.getpid()}/fd/{net}"
        self._network = network.Network(self, self._net)

    def listeners(self) -> tuple[Listener, ...]:
        """See `Rehearsal.listeners`."""
        return tuple(self._network.held.get((each.address, each.port), each) for each in super().listeners())

    def build(self) -> int:
        """See `files.build`."""
        return files.build(self, self._net)

    def fetch_authority(self) -> str:
        """See `Network.fetch_authority`."""
        return self._network.fetch_authority()

    def connect(self, scenario: Scenario, machine: Machine) -> tuple[bool, str]:
        """See `Network.connect`."""
        return self._network.connect(scenario, machine)

    def is_intact(self) -> bool:
        """See `Rehearsal.is_intact`."""
        return self._network.is_intact()


def main(control: str, net: str, root: str) -> None:
    """Process 1 of the copy, and its child, which answers calls until the socket they come from is closed."""
    child = os.fork()
    if child:
        os.close(int(control))
        os.close(int(net))
        while os.wait()[0] != child:  # orphans of the whole copy come here
            pass
        os._exit(0)
    os.umask(0o022)
    copy = Copy(root, int(net))
    with socket.socket(fileno=int(control)) as calls:
        os.set_inheritable(calls.fileno(), False)
        os.set_inheritable(int(net), False)
        while True:
            _, handles, _, _ = socket.recv_fds(calls, 1, 1)
            if not handles:
                os._exit(0)
            threading.Thread(target=_answer, args=(copy, handles[0]), daemon=True).start()


def _answer(copy: Copy, handle: int) -> None:
    """The call that came in on that socket is answered: (True, what it returned), or (False, what it raised)."""
    with socket.socket(fileno=handle) as peer, contextlib.suppress(OSError):
        method, args, options = pickle.loads(b"".join(iter(lambda: peer.recv(65536), b"")))  # noqa: S301 - our own
        try:
            answer = (True, getattr(copy, method)(*args, **options))
        except Exception as error:  # noqa: BLE001 - raised again where the call came from
            answer = (False, error)
        try:
            data = pickle.dumps(answer)
        except Exception as error:  # noqa: BLE001 - an answer must come, or the caller waits forever
            data = pickle.dumps(
                (False, HermesSetupError(f"The copy gave an answer that cannot be passed on: {error}."))
            )
        peer.sendall(data)
