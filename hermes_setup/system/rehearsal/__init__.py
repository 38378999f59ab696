"""A throwaway copy of this machine, on which everything really happens.

The copy is a process tree in namespaces of its own: mounts (overlays over this machine's file systems, written in memory
only), network, process numbers, host name. `Rehearsal` stays outside and passes each call on to `copy.Copy`, which is a
`Local` in there. The copy lives as long as the socket between the two is open: however this process ends, the kernel
closes it, process 1 of the copy ends, and with it every process, mount and interface of the copy (pid_namespaces(7)).

    copy.py       the copy itself: its file systems, what is missing in them, its network, and who answers the calls
    internet.py   what is around it: name servers, and a certificate authority under Let's Encrypt's names
    standins.py   whoever listens on the real machine, played by something that only takes the place

This machine's systemd cannot be reached from the copy: its sockets are in /run, and the copy has a /run of its own.
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
from hermes_setup.host import File, Listener, Node, Ran, Records, Request, Response
from hermes_setup.system.local import Local
from hermes_setup.values import dataclass

NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--net")


class NotAllowed(HermesSetupError):
    """A copy cannot be made here."""

    exit_code = 3


@dataclass(frozen=True)
class Part:
    """What a rehearsal is to play: for which name, with which CA ("": none), and where Hermes really is."""

    domain: str
    directory: str
    dashboards: tuple[tuple[str, int], ...]  # address and port of each that proved to be Hermes
    play: tuple[str, int]  # where one is played if there is none
    addresses: tuple[str, ...]  # of the copy
    public: tuple[str, ...]  # those of them that the domain leads to


class Rehearsal:
    """A System: what is done here happens, in the copy, and is gone with it. Made and ended by `with`.

    `root` puts every path below another folder of the copy (for tests). Raises NotAllowed where no copy can be made.
    """

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._here = Local()
        self.no_authority = ""
        """Why there is no CA in the copy, once prepared; "" where there is one, or none was wanted."""
        self.interrupted = False
        """True once a signal has come in the midst of a call: the copy is gone."""
        self.unfiltered = ""
        """Why the machine's firewall is not in the copy, once prepared; "" where it is."""
        self.plays = False
        """True when Hermes is played in the copy, once prepared, because there is none on the machine."""
        self.room = 0
        """Bytes that the copy may write at most."""

    def __enter__(self) -> Rehearsal:  # noqa: PYI034 - Self is not in the standard library of 3.10
        self._control, theirs = socket.socketpair()
        self._words = os.memfd_create("words")
        net = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                # killed with this process, even if somebody has stopped it (prctl(2), PR_SET_PDEATHSIG)
                ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "--fork", "--kill-child", "--"]
                + python("copy", str(theirs.fileno()), str(net), self._root),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._words,
                pass_fds=(theirs.fileno(), net),
                start_new_session=True,  # ^C and a dropped terminal reach it only through us
                cwd="/",
            )
            theirs.close()
            self.room = int(self._call("build"))
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
        os.close(self._words)

    def prepare(self, part: Part) -> Iterator[str]:
        """Each step is named before it is done; after the last, the copy is what its machine is to the world."""
        here = self._here
        if part.directory:
            yield "Fetching a certificate authority for tests (Pebble), which stands in for the real one"
            self.no_authority = str(self._call("fetch_authority"))
        yield "Connecting the copy to an internet of its own"
        nginx = [each for each in here.listeners() if each.process == "nginx" and not each.contained]
        held = tuple(each for each in here.listeners() if each not in nginx)
        running = {path: here.look(f"/proc/{path}/comm") for path in here.names("/proc") if path.isdigit()}
        cron = any(isinstance(node, File) and node.content == b"cron\n" for node in running.values())
        clock = cron or os.path.isdir("/run/systemd/system")
        device = _device()
        links = [name for _, name in socket.if_nameindex() if name not in ("lo", device)]
        self.plays, self.unfiltered = self._call(
            "connect", part, held, device=device, links=links, nginx=bool(nginx), clock=clock
        )

    def whole(self) -> bool:
        """True while the copy, and what is around it, is as it was prepared: what fails then is no fault of the copy's."""
        try:
            return bool(self._call("whole"))
        except HermesSetupError:
            return False

    def _call(self, what: str, *args: object, **options: object) -> Any:
        """What `Copy` answers, or its error. From several threads at a time, if need be."""
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs:
                    socket.send_fds(self._control, [b"?"], [theirs.fileno()])
                ours.sendall(pickle.dumps((what, args, options)))
                ours.shutdown(socket.SHUT_WR)
                told = b"".join(iter(lambda: ours.recv(65536), b""))
            except OSError:
                told = b""
            except BaseException:  # ^C, a signal: what goes on in there must not meet what tidies up after it
                self.interrupted = True
                self._control.close()
                raise
        if not told:
            said = os.pread(self._words, 65536, 0).decode(errors="replace").strip()
            raise HermesSetupError(f"The copy has ended: {said or 'it was killed'}.", hint="Run it again.")
        done, value = pickle.loads(told)  # noqa: S301 - from our own process
        if not done:
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

    def listeners(self) -> tuple[Listener, ...]:
        """Those of the copy; what stands in for a program of the machine is called as that program."""
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
        return self._here.now()

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
        return self._here.wait(condition, seconds=seconds)

    def touches(self) -> bool:
        """Always: what is done in the copy really happens there."""
        return True


def python(module: str, *args: str) -> list[str]:
    """The command that runs `main` of a neighbour of this module, with this very Python and its libraries."""
    path = [os.path.abspath(each) for each in sys.path]
    start = f"import sys; sys.path[:] = {path!r}; from {__name__}.{module} import main; main(*sys.argv[1:])"
    return [sys.executable, "-I", "-c", start, *args]


def _not_allowed(error: Exception) -> NotAllowed:
    output = getattr(error, "output", "").strip()
    said = " ".join(part for part in (str(error), output) if part)
    return NotAllowed(
        f"This server cannot be copied, so nothing was rehearsed: {said}",
        hint="Containers often forbid it. To see every change without making it: sudo hermes-setup --dry-run",
    )


def _device() -> str:
    """The interface of the default route; the copy's has its name, for the firewall's rules.

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
