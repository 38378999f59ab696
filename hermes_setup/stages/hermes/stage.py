"""Where Hermes listens, proved by asking it; and that nobody but this server can reach it there."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from hermes_setup.answers import fields as wishes
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import DEFAULT_BACKEND
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import File, Host, Listener, Request, Response
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.hermes import api, docker, service
from hermes_setup.values import dataclass

PORT = DEFAULT_BACKEND.port
PUBLISHERS = ("docker-proxy", "rootlessport", "rootlesskit")  # what listens for a container
NAMES = ("hermes", "python", "uvicorn", *PUBLISHERS)
SECONDS = 2.0


@dataclass(frozen=True)
class Dashboard:
    """A listener that proved to be Hermes's dashboard."""

    listener: Listener
    at: wishes.Backend
    status: api.Status


@dataclass(frozen=True)
class Facts:
    """Who listens where Hermes could be, and which of them are."""

    dashboards: tuple[Dashboard, ...]
    listeners: tuple[Listener, ...]  # those on Hermes's port, and the dashboards
    given: wishes.Backend | None  # what the answers name
    answer: Response | None  # of the given one, or of the default
    addresses: tuple[str, ...]
    headless: tuple[Dashboard, ...] = ()  # `hermes serve`: Hermes, but without pages
    others: tuple[Listener, ...] = ()  # on Hermes's port, and something else by what they answer
    holder: Listener | None = None  # the socket at the given place, or at the default
    containers: tuple[docker.Container, ...] = ()
    service: service.Facts | None = None  # None: not asked for
    people: tuple[str, ...] = ()  # who can log in to this server, root left out
    unit: str = ""  # a service that would run Hermes where it is looked for, and does not now
    left: bool = False  # a service of ours, which the answers do not ask for
    was: wishes.Backend | None = None  # where the site sends requests now

    def chosen(self, answers: Answers) -> wishes.Backend | None:
        """The dashboard to pass requests to; None when none is found."""
        if answers.backend:
            return answers.backend
        return self.dashboards[0].at if self.dashboards else None

    @property
    def version(self) -> str:
        """The chosen dashboard's version, "" when unknown."""
        for dashboard in self.dashboards:
            if self.given is None or dashboard.at == self.given:
                return dashboard.status.version
        return ""


class Backend:
    """See the module."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Asks every listener that could be Hermes, side by side; 2 s at most, and 1 s more for those that are."""
        containers = docker.containers(host)
        every = _with_published(host.listeners(), containers)
        maybe = [each for each in every if each.port == PORT or _looks_like_hermes(each)]
        wanted, was = answers.backend or DEFAULT_BACKEND, _was(host)
        targets = list(dict.fromkeys([*(_target(each) for each in maybe), wanted, was or wanted]))
        answered = in_parallel(lambda at: _ask(host, at, api.STATUS, SECONDS), targets)
        told = dict(zip(targets, answered, strict=True))
        sure = {at: status for at in targets if (status := _status(told[at]))}
        pages = dict(zip(sure, in_parallel(lambda at: _ask(host, at, "/", 1.0), sure), strict=True))
        # Who holds a socket may be unseen, or be a proxy of any name: what answers counts.
        held = {at: next((each for each in maybe if _target(each) == at), None) or _holder(every, at) for at in sure}
        proved = [Dashboard(held[at], at, status) for at, status in sure.items()]
        found = [each for each in proved if not api.headless(pages[each.at].status, pages[each.at].body)]
        found.sort(key=lambda each: (each.at != wanted, each.at.port != PORT, not each.at.local, each.at.port))
        # Where nothing is found the site goes on to lead where it did: what answers there counts.
        place = wanted if answers.backend or found or not was else was
        near = {each.listener for each in proved if each.listener in every} | {e for e in every if e.port == PORT}
        return Facts(
            tuple(found),
            tuple(sorted(near, key=str)),
            answers.backend,
            told[place],
            host.addresses(),
            tuple(each for each in proved if each not in found),
            tuple(
                each
                for each in maybe
                if told[_target(each)].status and _target(each) not in sure and not _shy(told[_target(each)])
            ),
            _holder(every, place),
            containers,
            service.look(host) if answers.service else None,
            tuple(
                name
                for name, _, shell in service.people(host)
                if name != "root" and not shell.endswith(("/nologin", "/false"))
            ),
            "" if found or not wanted.local else service.there(host, answers.backend.port if answers.backend else None),
            not answers.service and service.left(host),
            was,
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Hermes answers, there is no doubt which, and it is not open to the world."""
        doors = {
            (0 if each.process in PUBLISHERS else each.pid, each.process, each.port): each
            for each in facts.listeners
            if not _is_loopback(each.address) and each not in facts.others
        }
        found = [_open(each, _dashboard(facts, each), facts.containers) for each in doors.values()]
        chosen, at = facts.chosen(answers), answers.backend or DEFAULT_BACKEND
        proved = next((each for each in facts.dashboards if each.at == chosen), None)
        # one process on 127.0.0.1 and on ::1 is one dashboard
        local = list({_whose(each): each for each in reversed(facts.dashboards) if each.at.local}.values())
        local.reverse()
        if not answers.backend and len(local) > 1:
            names = " and ".join(f"{each.at}{_who(each.listener, each.status.version)}" for each in local)
            found.append(
                block(
                    "backend.two",
                    f"There are {len(local)} Hermes dashboards: {names}.",
                    "Only you can know which one is meant.",
                    f'Say it in the answers: backend = "{local[0].at}"; or stop the other one.',
                )
            )
        elif proved is None and ((facts.answer and facts.answer.status) or not self.plan(answers, facts)):
            found += self._unproved(answers, facts)
        if facts.service:
            found += service.check(facts.service, at, running=bool(facts.dashboards))
        if facts.left:
            found.append(
                note(
                    "service.left",
                    f"{service.NAME} is there from an earlier run, and the answers do not ask for it any more.",
                    "A service that may be in use is not stopped for you.",
                    f"To end it: sudo systemctl disable --now {service.NAME} ; sudo rm {service.UNIT} . To keep it: service = true",
                )
            )
        if proved and proved.status.login and proved.at.local:
            found.append(
                note(
                    "backend.login",
                    "Hermes asks for a login of its own, too.",
                    "It comes after the password of this site: two sign-ins.",
                    "Nothing to do; one of the two is enough, if you prefer that.",
                )
            )
        others = [name for name in facts.people if proved and name != proved.listener.user]
        if proved and proved.at.local and not proved.status.login and len(others) > (not proved.listener.user):
            found.append(
                note(
                    "backend.local-users",
                    f"Whoever can log in to this server reaches Hermes at {proved.at} without a password: {', '.join(others)}.",
                    "The password is nginx's; on the server itself there is a way past it, and Hermes can do what its user can.",
                    "Give logins on this server only to people whom you trust with Hermes.",
                )
            )
        if proved and proved.status.version and (0,) < tree.parse_version(proved.status.version) < (0, 15):
            found.append(
                warn(
                    "backend.old",
                    f"Hermes {proved.status.version} is old.",
                    "Versions up to 0.14 know less of proxies; 0.19 is what this was tried with.",
                    "Update it: hermes update",
                )
            )
        if answers.backend and not answers.backend.local:
            found.append(
                note(
                    "backend.remote",
                    f"Hermes is at {answers.backend}, on another machine or a public address.",
                    "What passes between is not encrypted, and that machine must let only this one in.",
                    "Let it be so on a private network only.",
                )
            )
        return found

    def _unproved(self, answers: Answers, facts: Facts) -> list[Finding]:
        at = answers.backend or DEFAULT_BACKEND
        answer = facts.answer
        if not answers.backend and facts.was:
            at = facts.was  # where the site sends requests is where it is missed
        start = f"hermes dashboard --host {at.address} --port {at.port} --no-open"
        begin = f"Start it when you like: {start}" if at.local else "Start it on that machine."
        if answer and answer.status:
            return [
                block(
                    "backend.not-hermes",
                    f"Something else than Hermes's dashboard answers at {at}{_who(facts.holder) if facts.holder else ''}.",
                    "It would be shown to the world under your name. (hermes serve has no pages; it takes hermes dashboard.)",
                    f'Stop it, or name Hermes\'s real place in the answers: backend = "127.0.0.1:PORT". Start Hermes: {api.START}',
                    f"{answer.status} {answer.header('Server')}",
                )
            ]
        return [
            warn(
                "backend.none",
                f"Hermes does not answer at {at} ({(answer.error if answer else '') or 'nobody listens'}).",
                "The site is set up all the same, and shows a friendly page until Hermes runs.",
                f"Start it when you like: sudo systemctl start {facts.unit} ; if it does not come up, this says why: sudo "
                f"systemctl status {facts.unit} ; sudo journalctl -u {facts.unit} -n 50"
                if facts.unit
                else begin,
            )
        ]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """Nothing: Hermes is its owner's. Unless the answers want it as a service."""
        if not facts.service:
            return ()
        at = answers.backend or DEFAULT_BACKEND
        return service.plan(
            facts.service,
            at,
            lambda host: _status(_ask(host, at, api.STATUS, SECONDS)) is not None,
            self._renderer,
            running=bool(facts.dashboards),
        )


def proved(host: Host, *, everywhere: bool = False) -> tuple[wishes.Backend, ...]:
    """Where Hermes answers on this machine's loopback, the usual place first. Never slower than 2 s.

    `everywhere`: also where others could reach it, as the sockets name their addresses.
    """
    asked = Answers(wishes.Domain("hermes.localhost", "hermes.localhost"), wishes.Issuer("self-signed", ""), ())
    found = Backend().inspect(asked, host).dashboards
    if everywhere:
        return tuple(wishes.Backend(each.listener.address, each.listener.port) for each in found)
    return tuple(each.at for each in found if each.at.local)


def _was(host: Host) -> wishes.Backend | None:
    """The upstream of our site as it is; None where there is none."""
    node = host.look("/etc/nginx/sites-available/hermes")
    text = node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""
    upstream = tree.upstream_address(text) if text.startswith(tree.HEADER) else ""
    return wishes.Backend.parse(upstream) if upstream else None


def _whose(each: Dashboard) -> object:
    """What makes two addresses one dashboard: the process, or (of a container) the port."""
    if each.listener.process in PUBLISHERS:
        return each.at.port
    return each.listener.pid or each.at


def _looks_like_hermes(each: Listener) -> bool:
    return each.process.lower().startswith(NAMES) and each.port >= 1024


def _target(each: Listener) -> wishes.Backend:
    """The address to ask a listener at: loopback, where it listens everywhere."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(each.address, each.address)  # noqa: S104
    return wishes.Backend(address, each.port)


def _holder(every: Sequence[Listener], at: wishes.Backend) -> Listener:
    """The socket that answers at that place, without its process where none is seen."""
    exact = [each for each in every if each.port == at.port and each.address == at.address]
    wide = [each for each in every if each.port == at.port and each.everywhere]
    return next(iter([*exact, *wide]), Listener(at.address, at.port))


def _status(answer: Response) -> api.Status | None:
    return api.parse_status(answer.body) if answer.status == 200 else None


def _shy(answer: Response) -> bool:
    """True for Hermes's own refusal of a Host that it was not started with."""
    return answer.status == 400 and b"Invalid Host header" in answer.body


def _ask(host: Host, at: wishes.Backend, path: str, seconds: float) -> Response:
    name = f"[{at.address}]" if ":" in at.address else at.address
    asked = Request(at.address, at.port, at.address, path, headers=(("Host", f"{name}:{at.port}"),), seconds=seconds)
    return host.fetch(asked)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _dashboard(facts: Facts, listener: Listener) -> Dashboard | None:
    proved = (*facts.dashboards, *facts.headless)
    return next((each for each in proved if each.listener == listener or each.at == _target(listener)), None)


def _who(each: Listener, version: str = "") -> str:
    parts = [
        f"version {version}" if version else "",
        each.process + (f" of {each.user}" if each.user and each.user != "root" else ""),
        f"unit {each.unit}" if each.unit else "",
        f"process {each.pid}" if each.pid else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f" ({told})" if told else ""


def _with_published(every: Sequence[Listener], containers: Sequence[docker.Container]) -> tuple[Listener, ...]:
    """The listeners, and the ports that Docker publishes without one (userland-proxy off: only rules of the kernel)."""
    seen = {(each.address, each.port) for each in every} | {("::", each.port) for each in every if each.everywhere}
    hidden = [
        Listener(each.address, each.port, 0, "docker-proxy")
        for container in containers
        for each in container.published
        if PORT in (each.inner, each.port) and (each.address, each.port) not in seen
    ]
    return (*every, *hidden)


def _of_docker(each: Listener, containers: Sequence[docker.Container]) -> str:
    """What to change where, for a listener of Docker's; "" for another."""
    ports = [(container, place) for container in containers for place in container.published if place.port == each.port]
    if each.process in PUBLISHERS and ports:
        container, place = ports[0]
        line = f'"127.0.0.1:{place.port}:{place.inner}"'
        if container.files:
            return (
                f"In {' or '.join(container.files)}, at the service {container.service}, under ports, write: - {line} (in the "
                f"long form: host_ip: 127.0.0.1)\nthen: {container.up}"
            )
        return f"Start the container {container.name} anew with -p {line.strip(chr(34))} instead of what it has now."
    own = next((one for one in containers if one.on_host_network and each.unit == f"docker-{one.id}"), None)
    if own and own.files:
        return (
            f"In {' or '.join(own.files)}, at the service {own.service} (network_mode: host), put --host 127.0.0.1 --port "
            f"{each.port} behind hermes dashboard in its command, then: {own.up}"
        )
    return ""


def _open(each: Listener, dashboard: Dashboard | None, containers: Sequence[docker.Container]) -> Finding:
    where = "on all addresses of this server" if each.everywhere else f"on {each.address}"
    what = "Hermes" if dashboard else "Something (Hermes, most likely)"
    if known := _of_docker(each, containers):
        do = known
    elif each.contained:
        do = (
            f"It is in container {each.unit.partition('-')[2]}, on this server's own network (network_mode: host): "
            f"put --host 127.0.0.1 --port {each.port} behind hermes dashboard in its command, and start it anew."
        )
    elif each.process in PUBLISHERS:
        do = f'In the compose file, write the port as "127.0.0.1:{each.port}:{PORT}" (or docker run -p the same), and start it anew.'
    elif each.unit and each.of_user:
        do = (
            f"Let it listen on 127.0.0.1 only. As {each.user}: systemctl --user edit --full {each.unit} ; put --host "
            f"127.0.0.1 --port {each.port} into ExecStart ; systemctl --user restart {each.unit}"
        )
    elif each.unit:
        do = (
            f"Let it listen on 127.0.0.1 only: sudo systemctl edit --full {each.unit} ; put --host 127.0.0.1 --port "
            f"{each.port} into ExecStart ; sudo systemctl restart {each.unit}"
        )
    else:
        do = f"Stop it and start it with: hermes dashboard --host 127.0.0.1 --port {each.port} --no-open"
    if dashboard and dashboard.status.login and each.process not in PUBLISHERS:
        return warn(
            "backend.login-only",
            f"{what} listens {where}, port {each.port}{_who(each)}; only its own login guards it there.",
            "Everybody can try passwords at it, past this site's gate and without encryption.",
            do,
        )
    return block(
        "backend.open",
        f"{what} listens {where}, port {each.port}{_who(each)}: everybody on the internet may reach it without a password.",
        "A password in front of it would guard nothing while there is a second door. "
        + (
            "And ufw does not close it: the rules of Docker come before those of ufw."
            if each.process in PUBLISHERS
            else "A firewall may hide it today and not tomorrow."
        ),
        do,
    )
