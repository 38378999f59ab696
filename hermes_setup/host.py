"""The machine: what can be read of it (`Host`) and what can be done to it (`System`).

Stages are given a Host; only the engine is given a System, and the type checker keeps it so. A path holds exactly
one Node. Owners are names ("root", "www-data"), or numbers as text where the machine has no name for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from hermes_setup.values import dataclass, field


@dataclass(frozen=True)
class File:
    """A regular file. A `secret` one never shows its content: not in a diff, a log or an error."""

    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Link:
    """A symbolic link, with its target as it is written."""

    target: str


@dataclass(frozen=True)
class Folder:
    """A directory."""

    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Absent:
    """Nothing is there."""


@dataclass(frozen=True)
class Special:
    """A socket, a device, a pipe, or a file that could not be read (`why`). Never ours to change."""

    why: str


Node = File | Link | Folder | Absent | Special
ABSENT = Absent()


@dataclass(frozen=True)
class Listener:
    """A TCP socket that accepts connections. `unit` is the systemd unit of its process, "" where there is none.

    "docker-<id>" and "container-<name>" stand for a container on this machine's own network. `owner` is who opened the
    socket, as the kernel has it: also where the process is not seen, and no matter to whom the socket was handed on.
    """

    address: str  # "0.0.0.0", "::", "127.0.0.1", ...; IPv6 in its short form, without brackets
    port: int
    pid: int = 0  # 0: the process could not be seen
    process: str = ""
    unit: str = ""
    user: str = ""
    of_user: bool = False  # the unit is one of that user's own: systemctl --user, not systemctl
    owner: str = ""

    @property
    def contained(self) -> bool:
        """True for a process in a container: its files and its units are not this machine's."""
        return self.unit.startswith(("docker-", "container-"))

    @property
    def whose(self) -> str:
        """The user whose socket it is, "" where nothing says so."""
        return self.owner or self.user

    @property
    def everywhere(self) -> bool:
        """True when it listens on all addresses of its family."""
        return self.address in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


@dataclass(frozen=True)
class Replaceable:
    """Something on the way to a program or a file that users other than root can replace, or change what is in it."""

    path: str
    by: tuple[str, ...]  # their names, or "everybody"

    def __str__(self) -> str:
        return f"{self.path} (by {' and '.join(self.by)})"


@dataclass(frozen=True)
class Ran:
    """How a command ended. 127: there is no such command; 124: it did not end in time (as in timeout(1))."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """True when it ended with status 0."""
        return self.code == 0


@dataclass(frozen=True)
class Records:
    """What DNS answered. `status` is "ok", "nodata", "nxdomain", "servfail", "refused", "timeout" or "error".

    `values` are in presentation form (addresses, `0 issue "letsencrypt.org"`, names with a final dot); `ttl` in seconds;
    `server` is the address that answered, "" for the machine's own resolver.
    """

    status: str
    values: tuple[str, ...] = ()
    ttl: int = 0
    server: str = ""


@dataclass(frozen=True)
class Request:
    """One HTTP request to one address: connect to `address`:`port`, with `name` as SNI and (unless given) as Host.

    `tls` without `verify` accepts any certificate: the page is our own, and whether browsers trust its certificate is
    checked elsewhere. Redirects are not followed.
    """

    address: str
    port: int
    name: str
    path: str = "/"
    method: str = "GET"
    tls: bool = False
    verify: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    seconds: float = 4.0


@dataclass(frozen=True)
class Response:
    """What was answered. `status` 0: nothing was, and `error` says why ("refused", "timeout", or the system's words)."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    error: str = ""
    certificate: bytes = field(default=b"", repr=False)  # DER, as the server sent it; b"" without TLS

    def header(self, name: str) -> str:
        """The first header of that name (any case), "" where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Files(Protocol):
    """The paths of a machine."""

    def look(self, path: str) -> Node:
        """What is at that path, without following a final link."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """The names in a folder, sorted by bytes; () where there is no such folder."""
        ...


class Host(Files, Protocol):
    """Reads. None of these changes anything on the machine; each ends within its deadline."""

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        """Run a command that only reads, with an empty stdin and LC_ALL=C.UTF-8.

        As root: none that somebody else could have replaced; then it gives 126, and why.
        """
        ...

    def replaceable(self, program: str) -> tuple[Replaceable, ...]:
        """What users other than root can replace of a program, and on the way to it; () where only root can.

        `program` is a path, where also a folder may be or nothing, or the name of a command as the PATH has it. See
        `hermes_setup.replaceable`.
        """
        ...

    def listeners(self) -> tuple[Listener, ...]:
        """Every listening TCP socket of this machine, IPv4 and IPv6."""
        ...

    def addresses(self) -> tuple[str, ...]:
        """The addresses of this machine's interfaces, without loopback and link-local ones."""
        ...

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        """Records of a name; `server` is the address of a name server, "" for the machine's own resolver."""
        ...

    def fetch(self, request: Request) -> Response:
        """Send one HTTP request and read at most 256 KiB of the answer. Never raises for what the network does."""
        ...

    def given(self, fact: str) -> bool:
        """True when a Run that `gives` this fact was taken as done (only in an Overlay; the real machine shows itself)."""
        ...

    def now(self) -> datetime:
        """The time, in UTC."""
        ...


class System(Host, Protocol):
    """Reads and writes. Only the engine and the changes it applies are given one."""

    def put(self, path: str, node: Node) -> None:
        """The path holds exactly that node, durably, and never half of it (write beside, fsync, rename).

        Missing folders above it are made (root, 0755). Raises HermesSetupError where the machine refuses.
        """
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        gives: str = "",
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float = 600.0,
    ) -> Ran:
        """The command, which changes something, was run. Raises CommandFailed on any status but 0.

        And, as root, for one that somebody else could have replaced: that is not run.
        """
        ...

    def wait(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """True as soon as the condition holds, False if it does not within that time."""
        ...

    def touches(self) -> bool:
        """True where what is done here really happens, False where it stays in memory."""
        ...


def has_systemd(host: Host) -> bool:
    """True where systemd runs this machine (sd_booted(3))."""
    return isinstance(host.look("/run/systemd/system"), Folder)
