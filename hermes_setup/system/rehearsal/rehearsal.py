"""A throwaway copy of this machine, on which everything really happens.

The copy is a process tree in namespaces of its own: mounts (overlays over this machine's file systems, written in memory
only), network, process numbers, host name. `Rehearsal` stays outside and passes each call on to `inside.Copy`, which is a
`Local` in there. The copy lives as long as the socket between the two is open: however this process ends, the kernel
closes it, process 1 of the copy ends, and with it every process, mount and interface of the copy (pid_namespaces(7)).

    inside.py     the process inside the copy, which answers the calls
    files.py      the copy's file systems
    network.py    the copy's network: addresses, firewall, taken ports
    internet.py   what is around it: the name servers
    authority.py  the certificate authority under Let's Encrypt's names
    held_ports.py takes the ports of the programs that listen on the real machine

This machine's systemd can't be reached from the copy: its sockets are in /run, and the copy has a /run of its own.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hermes_setup.errors import HermesSetupError
from hermes_setup.host import File, Listener, Node, Ran, Records, Replaceable, Request, Response
from hermes_setup.system.local import Local
from hermes_setup.system.processes import environment, program
from hermes_setup.values import dataclass

NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--net")


class NotAllowed(HermesSetupError):
    """A copy can't be made here."""

    exit_code = 3


@dataclass(frozen=True)
class Scenario:
    """What the copy is to be set up for: under which name, with which CA, and where its Hermes is."""

    domain: str
    directory: str  # of the CA; "": none
    dashboards: tuple[tuple[str, int], ...]  # address and port of each that is Hermes on the machine
    stand_in: tuple[str, int]  # where a stand-in plays Hermes if there is none
    addresses: tuple[str, ...]  # of the copy
    public: tuple[str, ...]  # those of them that the domain points to


@dataclass(frozen=True)
class Machine:
    """What the copy can't see of the machine that it is a copy of."""

    listeners: tuple[Listener, ...]  # without nginx, which is started in the copy
    interface: str  # of the default route
    other_interfaces: tuple[str, ...]
    has_nginx: bool  # it runs
    has_cron: bool  # cron runs, or systemd, which starts renewals as well


class Rehearsal:
    """A System: what is done here happens in the copy, and is gone with it. Made and ended by `with`.

    `root` puts every path below another folder of the copy (for tests). Raises NotAllowed where no copy can be made.
    """

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._machine = Local()
        self.interrupted = False
        """True once a signal has come in the middle of a call: the copy is gone."""
        self.memory = 0
        """Bytes that the copy may write at most."""
        self.no_authority = ""
        """Once prepared, why there is no CA in the copy; "" where there is one, or none was wanted."""
        self.no_firewall = ""
        """Once prepared, why the machine's firewall is not in the copy; "" where it is."""
        self.plays_hermes = False
        """Once prepared, True when a stand-in plays Hermes in the copy, because there is none on the machine."""

    def __enter__(self) -> Rehearsal:  # noqa: PYI034 - Self is not in the standard library of 3.10
        self._control, theirs = socket.socketpair()
        self._errors = os.memfd_create("errors")  # what the copy prints to stderr
        net = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                # killed with this process, even while it is stopped by SIGSTOP (prctl(2), PR_SET_PDEATHSIG)
                ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "--fork", "--kill-child", "--"]
                + python("inside", str(theirs.fileno()), str(net), self._root),
                executable=program("setpriv"),
                env=environment(),  # all that is started in the copy has it from here
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(theirs.fileno(), net),
                start_new_session=True,  # ^C and a lost terminal reach it only through us
                cwd="/",
            )
            theirs.close()
            self.memory = int(self._call("build"))
        except BaseException as error:
            self.__exit__()
            if isinstance(error, (HermesSetupError, OSError)):
                raise _not_allowed(error) from error
            raise
        finally:
            theirs.close()
            os.close(net)
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        if process := getattr(self, "_process", None):
            try:
                process.wait(10)  # unshare(1) ends when the last process of the copy has
            except BaseException:
                process.kill()
                process.wait()
                raise
        os.close(self._errors)

    def prepare(self, scenario: Scenario) -> Iterator[str]:
        """Each step is named before it is done; after the last, the copy is ready for the run."""
        if scenario.directory:
            yield "Fetching a certificate authority for tests (Pebble), which stands in for the real one"
            self.no_authority = str(self._call("fetch_authority"))
        yield "Connecting the copy to an internet of its own"
        self.plays_hermes, self.no_firewall = self._call("connect", scenario, _seen_of(self._machine))

    def is_intact(self) -> bool:
        """True while the copy and its internet are as they were prepared: what fails then is not the copy's fault."""
        try:
            return bool(self._call("is_intact"))
        except HermesSetupError:
            return False

    def _call(self, method: str, *args: object, **options: object) -> Any:
        """What that method of `Copy` returns, or raises. May be called from several threads at a time."""
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs:
                    socket.send_fds(self._control, [b"?"], [theirs.fileno()])
                ours.sendall(pickle.dumps((method, args, options)))
                ours.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: ours.recv(65536), b""))
            except OSError:
                answer = b""
            except BaseException:  # ^C, a signal: what still runs in there must not meet what cleans up after it
                self.interrupted = True
                self._control.close()
                raise
        if not answer:
            errors = os.pread(self._errors, 65536, 0).decode(errors="replace").strip()
            raise HermesSetupError(f"The copy has ended: {errors or 'it was killed'}.", hint="Run it again.")
        returned, value = pickle.loads(answer)  # noqa: S301 - from our own process
        if not returned:
            raise value
        return value

    # -- the System: each call is Copy's ------------------------------------------------------------------------------

    def look(self, path: str) -> Node:
        """See `Host.look`."""
        node: Node = self._call("look", path)
        return node

    def names(self, folder: str) -> tuple[str, ...]:
        """See `Host.names`."""
        return tuple(self._call("names", folder))

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        """See `Host.ask`."""
        ran: Ran = self._call("ask", tuple(argv), seconds=seconds)
        return ran

    def replaceable(self, program: str) -> tuple[Replaceable, ...]:
        """See `Host.replaceable`."""
        return tuple(self._call("replaceable", program))

    def listeners(self) -> tuple[Listener, ...]:
        """Those of the copy; a stand-in for a program of the machine has the name of that program."""
        return tuple(self._call("listeners"))

    def addresses(self) -> tuple[str, ...]:
        """See `Host.addresses`."""
        return tuple(self._call("addresses"))

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        """What the copy's own name servers say."""
        records: Records = self._call("dns", name, kind, server=server, seconds=seconds)
        return records

    def fetch(self, request: Request) -> Response:
        """See `Host.fetch`."""
        response: Response = self._call("fetch", request)
        return response

    def given(self, fact: str) -> bool:  # noqa: ARG002 - as in Local
        """Never: the copy shows what it is."""
        return False

    def now(self) -> datetime:
        """See `Host.now`."""
        return self._machine.now()

    def put(self, path: str, node: Node) -> None:
        """See `System.put`."""
        self._call("put", path, node)

    def run(
        self,
        argv: Sequence[str],
        *,
        gives: str = "",
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float = 600.0,
    ) -> Ran:
        """See `System.run`."""
        ran: Ran = self._call("run", tuple(argv), gives=gives, stdin=stdin, env=dict(env or {}), seconds=seconds)
        return ran

    def wait(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """See `System.wait`."""
        return self._machine.wait(condition, seconds=seconds)

    def touches(self) -> bool:
        """Always: what is done in the copy really happens there."""
        return True


def python(module: str, *args: str) -> list[str]:
    """The command that runs `main` of a module of this package, with this very Python and its libraries."""
    path = [os.path.abspath(each) for each in sys.path]
    start = f"import sys; sys.path[:] = {path!r}; from {__package__}.{module} import main; main(*sys.argv[1:])"
    return [sys.executable, "-I", "-c", start, *args]


def _not_allowed(error: Exception) -> NotAllowed:
    output = getattr(error, "output", "").strip()
    reason = " ".join(part for part in (str(error), output) if part)
    return NotAllowed(
        f"This server can't be copied, so nothing was rehearsed: {reason}",
        hint="Containers often forbid it. To see every change without making it: sudo hermes-setup --dry-run",
    )


def _seen_of(machine: Local) -> Machine:
    listeners = machine.listeners()
    nginx = [each for each in listeners if each.process == "nginx" and not each.contained]
    processes = [machine.look(f"/proc/{pid}/comm") for pid in machine.names("/proc") if pid.isdigit()]
    cron = any(isinstance(name, File) and name.content == b"cron\n" for name in processes)
    interface = _default_interface()
    return Machine(
        tuple(each for each in listeners if each not in nginx),
        interface,
        tuple(name for _, name in socket.if_nameindex() if name not in ("lo", interface)),
        has_nginx=bool(nginx),
        has_cron=cron or os.path.isdir("/run/systemd/system"),
    )


def _default_interface() -> str:
    """The interface of the default route; the copy's has the same name, for the firewall's rules.

    Sources: proc(5), net/route; net/ipv6/route.c in the kernel for the columns of ipv6_route.
    """
    for table, default, column in (("route", ["00000000"], 0), ("ipv6_route", ["0" * 32, "00"], -1)):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as file:
            for line in file:
                fields = line.split()
                at = 1 if table == "route" else 0
                if fields[at : at + len(default)] == default and fields[column] != "lo":
                    return fields[column]
    return "eth0"
