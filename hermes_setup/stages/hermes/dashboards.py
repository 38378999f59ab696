"""Where Hermes's dashboard listens, proved by asking every listener that could be it. For all who need to know it."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.backend import DEFAULT_BACKEND, Backend
from hermes_setup.host import Host, Listener, Response
from hermes_setup.nginx import tree
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.hermes import docker
from hermes_setup.stages.hermes.api import Status
from hermes_setup.stages.hermes.recognition import Kind, recognize
from hermes_setup.stages.site.facts import our_text
from hermes_setup.state import upstream
from hermes_setup.values import dataclass

PORT = DEFAULT_BACKEND.port
PROGRAMS = ("hermes", "python", "uvicorn", *docker.PUBLISHERS)
"""How the names of processes begin that could be Hermes on another port."""


@dataclass(frozen=True)
class Dashboard:
    """A listener that proved to be Hermes, and the address to reach it at."""

    listener: Listener
    at: Backend
    status: Status

    @property
    def key(self) -> object:
        """Equal for two addresses of one dashboard: those of one process, or (of a container) of one port."""
        if self.listener.process in docker.PUBLISHERS:
            return self.at.port
        return self.listener.pid or self.at


@dataclass(frozen=True)
class Found:
    """What listens where Hermes could be, and which of it is Hermes."""

    dashboards: tuple[Dashboard, ...] = ()  # first the one that was named, else the one at the usual place
    headless: tuple[Dashboard, ...] = ()  # `hermes serve`: Hermes, but without pages
    others: tuple[Listener, ...] = ()  # on Hermes's port or with its name, and something else by what they answer
    listeners: tuple[Listener, ...] = ()  # all on Hermes's port, and those that are Hermes
    named: Backend | None = None  # the upstream as it is set: in the answers, else on this machine
    answer: Response | None = None  # of what listens where it is looked for
    holder: Listener | None = None  # the socket to which requests are passed; without an owner where none is seen
    containers: tuple[docker.Container, ...] = ()

    @property
    def chosen(self) -> Backend | None:
        """Where to pass requests to: where the upstream is set, else the first dashboard; None where there is neither."""
        if self.named:
            return self.named
        return self.dashboards[0].at if self.dashboards else None

    @property
    def looked_for(self) -> Backend:
        """Where it is missed when it is not found."""
        return self.named or DEFAULT_BACKEND

    @property
    def running(self) -> Dashboard | None:
        """The dashboard that answers at the chosen backend; None where none does."""
        return next((each for each in self.dashboards if each.at == self.chosen), None)

    @property
    def version(self) -> str:
        """The chosen dashboard's version, "" when unknown."""
        return self.running.status.version if self.running else ""

    @property
    def elsewhere(self) -> tuple[Dashboard, ...]:
        """The dashboards of this machine that requests are not passed to."""
        return tuple(each for each in self.dashboards if each.at.local and each.at != self.chosen)

    @property
    def in_the_way(self) -> bool:
        """True where a service of ours would be a second dashboard: one answers where it would be, or any while none is set."""
        return self.running is not None or (self.named is None and bool(self.dashboards))

    def hermes_at(self, listener: Listener) -> Dashboard | None:
        """The Hermes, with or without pages, behind that listener; None where it did not prove to be one."""
        hermes = (*self.dashboards, *self.headless)
        return next((each for each in hermes if each.listener == listener or each.at == address_of(listener)), None)


def find(host: Host, backend: Backend | None = None) -> Found:
    """Every listener that could be Hermes was asked, side by side; 3 s at most.

    `backend` is what the answers name. Where they name none, and the upstream is set on this machine already, it stays
    there, whatever else is found: any local user can start something that answers as Hermes does.
    """
    containers = docker.containers(host)
    every = _with_published(host.listeners(), containers)
    candidates = [each for each in every if each.port == PORT or _could_be_hermes(each)]
    named = backend or set_upstream(host)
    wanted = named or DEFAULT_BACKEND
    targets = list(dict.fromkeys([*map(address_of, candidates), wanted]))
    seen = dict(zip(targets, in_parallel(lambda at: recognize(host, at), targets), strict=True))
    # Which process holds a socket may be unseen, or be a proxy of any name: what answers counts.
    sockets = {at: next((each for each in candidates if address_of(each) == at), _holder(every, at)) for at in seen}
    hermes = {at: Dashboard(sockets[at], at, each.status) for at, each in seen.items() if each.status}
    dashboards = [each for at, each in hermes.items() if seen[at].kind is Kind.DASHBOARD]
    dashboards.sort(key=lambda each: (each.at != wanted, each.at.port != PORT, not each.at.local, each.at.port))
    passed_to = named or next((each.at for each in dashboards), wanted)
    known = {each.listener for each in hermes.values() if each.listener in every}
    return Found(
        dashboards=tuple(dashboards),
        headless=tuple(each for at, each in hermes.items() if seen[at].kind is Kind.HEADLESS),
        others=tuple(each for each in candidates if seen[address_of(each)].kind is Kind.OTHER),
        listeners=tuple(sorted(known | {each for each in every if each.port == PORT}, key=str)),
        named=named,
        answer=seen[wanted].answer,
        holder=_holder(every, passed_to),
        containers=containers,
    )


def local(host: Host) -> tuple[Backend, ...]:
    """Where dashboards answer on this machine's loopback, the usual place first. 3 s at most."""
    return tuple(each.at for each in find(host).dashboards if each.at.local)


def whose(host: Host) -> dict[Backend, str]:
    """As `local`, each with the user whose process it is; "" where that cannot be seen."""
    return {each.at: each.listener.whose for each in find(host).dashboards if each.at.local}


def everywhere(host: Host) -> tuple[Backend, ...]:
    """Where dashboards answer on this machine, as their sockets name the addresses, those that others can reach too."""
    return tuple(Backend(each.listener.address, each.listener.port) for each in find(host).dashboards)


def address_of(listener: Listener) -> Backend:
    """The address to ask a listener at: loopback, where it listens everywhere."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.address, listener.address)  # noqa: S104 - compared
    return Backend(address, listener.port)


def described(listener: Listener, version: str = "") -> str:
    """Whose socket it is, in parentheses after a space; "" where nothing is known of it."""
    parts = [
        f"version {version}" if version else "",
        listener.process + (f" of {listener.whose}" if listener.whose not in ("", "root") else ""),
        f"unit {listener.unit}" if listener.unit else "",
        f"process {listener.pid}" if listener.pid else "",
    ]
    known = ", ".join(part for part in parts if part)
    return f" ({known})" if known else ""


def set_upstream(host: Host) -> Backend | None:
    """Where the site passes visitors on this machine: as noted, else as our site's file has it; None before a first set-up.

    Sites of versions that noted nothing have it in their file only.
    """
    if note := upstream.parse(host.look(upstream.PATH)):
        return note.at
    address = tree.upstream_address(our_text(host))
    return Backend.parse(address) if address else None


def _could_be_hermes(each: Listener) -> bool:
    return each.process.lower().startswith(PROGRAMS) and each.port >= 1024


def _holder(every: Sequence[Listener], at: Backend) -> Listener:
    """The socket that answers there, without its process where none is seen."""
    exact = [each for each in every if each.port == at.port and each.address == at.address]
    wildcard = [each for each in every if each.port == at.port and each.everywhere]
    return next(iter([*exact, *wildcard]), Listener(at.address, at.port))


def _with_published(every: Sequence[Listener], containers: Sequence[docker.Container]) -> tuple[Listener, ...]:
    """The listeners, and the ports that Docker publishes without one (userland-proxy off: only rules of the kernel)."""
    seen = {(each.address, each.port) for each in every} | {("::", each.port) for each in every if each.everywhere}
    hidden = [
        Listener(each.address, each.port, 0, "docker-proxy", owner="root")  # Docker's socket is that of root's Docker
        for container in containers
        for each in container.published
        if PORT in (each.container_port, each.port) and (each.address, each.port) not in seen
    ]
    return (*every, *hidden)
