"""The site: plain HTTP (the challenge, and a short page) while there is no certificate, HTTPS once there is one.

It stands in the order of stages twice, before and after the certificate; there is no flag that says which. A guest among
sites: its link sorts last, it is nobody's default server, it never switches anything on for a neighbour.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Sequence

from hermes_setup import digests
from hermes_setup.answers.answers import Answers, Webhooks
from hermes_setup.answers.fields import DEFAULT_BACKEND, Backend, Domain, permits
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp, Until
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import ABSENT, Absent, File, Folder, Host, Link, Listener, Node, Request
from hermes_setup.nginx import processes, quoting, tree, trial
from hermes_setup.nginx.render import Renderer
from hermes_setup.nginx.tree import Config, Server
from hermes_setup.stages.addresses import stage as addresses
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.certificate.lineages import CHALLENGES, WEBROOT
from hermes_setup.stages.hermes.stage import Backend as BackendStage
from hermes_setup.stages.users.cookies import GATE_FILE
from hermes_setup.stages.users.htpasswd import USERS_FILE
from hermes_setup.state.places import STATE
from hermes_setup.values import dataclass, replace

AVAILABLE = "/etc/nginx/sites-available/hermes"
NEXT = "-next"  # a second site for a new name, until its certificate is there; the old name is served meanwhile
LINK = "zz-hermes"
STAMP = f"{STATE}/stamps/nginx"

RUNS = "nginx runs"

# http2 as a directive of its own: nginx CHANGES, 1.25.1
HTTP2_DIRECTIVE = (1, 25, 1)


@dataclass(frozen=True)
class Facts:
    """All that decides what the site's file says, and whether nginx has loaded it."""

    config: Config
    installed: bool
    version: tuple[int, ...]
    openssl: tuple[int, ...]
    ipv6: bool  # the kernel has it: listen [::] works
    held: tuple[Listener, ...]  # the sockets that nginx has open now
    addresses: tuple[str, ...]  # of this machine
    backend: Backend
    forwarded_for: bool
    served: serving.Served | None
    shown: str  # sha256 of the certificate that nginx shows for the name, "" for none
    nodes: dict[str, Node]  # the paths that may be changed, as they are
    gate: str
    webroot: Node
    running: bool
    systemd: bool
    unit_active: bool
    stamp: str
    real_ip: tuple[str, ...] = ()  # whose word about a visitor's address counts
    hooks_real_ip: tuple[str, ...] = ()  # the same under the webhooks' own name
    redirects: tuple[tuple[Domain, serving.Served | None], ...] = ()  # each earlier name, and its own certificate
    hooks_now: HooksNow | None = None  # where our site serves webhooks at the moment, while its certificate is there
    closed: tuple[
        tuple[str, Folder], ...
    ] = ()  # folders on the way to the challenges that nginx's workers cannot enter

    def certified(self, name: Domain) -> bool:
        """True when the certificate that is served holds that name, too. (A forecast has none to look into.)"""
        return self.served is not None and (self.served.leaf is None or self.served.leaf.covers(name))


@dataclass(frozen=True)
class HooksNow:
    """Where webhooks are served over HTTPS now: on a host of their own with its certificate; "": on paths of the domain."""

    host: str = ""
    certificate: str = ""
    key: str = ""


class Site:
    """See the module. `name` and `title` tell its two places in the order apart; nothing else does."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads nginx's tree, its processes, and the certificate."""
        config = tree.read(host)
        installed = tree.version(host)
        served = serving.served(answers, host)
        ours = _ours(host)
        backend, forwarded_for = _backend(answers, host, ours)
        workers = processes.workers(host, config.pid)
        systemd = isinstance(host.look("/run/systemd/system"), Folder)
        # The distribution's package starts nginx where systemd runs.
        started = host.given(RUNS) or (systemd and not installed and host.given("packages"))
        gate = host.look(GATE_FILE)
        stamp = host.look(STAMP)
        shown = ""
        if served and started:
            shown = served.fingerprint  # whoever starts it, it reads what is there
        elif workers.master and (served or _tls(answers.domain, ours)):
            request = Request("127.0.0.1", 443, answers.domain.ascii, method="", tls=True, seconds=3.0)
            shown = digests.sha256(host.fetch(request).certificate)
        paths = {AVAILABLE, AVAILABLE + NEXT} | {server.path for server in config.servers}
        for folder in ("sites-available", "sites-enabled", "conf.d"):
            paths |= {f"{tree.FOLDER}/{folder}/{name}" for name in host.names(f"{tree.FOLDER}/{folder}")}
        return Facts(
            config=config if config.files else tree.DEBIAN,
            installed=bool(installed),
            version=installed or _candidate(host),
            openssl=tree.parse_version(host.ask(["openssl", "version"]).out),
            ipv6=not isinstance(host.look("/proc/net/if_inet6"), Absent),
            held=tuple(each for each in host.listeners() if each.process == "nginx"),
            addresses=host.addresses(),
            backend=backend,
            forwarded_for=forwarded_for,
            served=served,
            shown=shown,
            nodes={path: host.look(path) for path in sorted(paths)},
            gate=gate.content.decode("utf-8", "surrogateescape") if isinstance(gate, File) else "",
            webroot=host.look(CHALLENGES),
            closed=_closed(host),
            running=bool(workers.master) or started,
            systemd=systemd,
            unit_active=systemd and (started or host.ask(["systemctl", "is-active", "--quiet", "nginx"]).ok),
            stamp=stamp.content.decode(errors="replace") if isinstance(stamp, File) else "",
            real_ip=addresses.real_ip(answers, host, ours),
            hooks_real_ip=addresses.hooks_real_ip(answers, host, ours),
            redirects=tuple((name, serving.served(answers.about(name), host)) for name in answers.redirects),
            hooks_now=_hooks_now(host, ours),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """The name is free for us, and nginx reads a folder for sites."""
        found: list[Finding] = []
        if not facts.config.sites:
            found.append(
                block(
                    "site.no-folder",
                    f"{tree.CONF} includes neither sites-enabled/* nor conf.d/*.conf.",
                    "So nginx would never read the site.",
                    f"Add to its http block: include {tree.FOLDER}/sites-enabled/*; then run hermes-setup again.",
                    facts.config.problem,
                )
            )
        more = [
            (name, server) for name in (*answers.names[1:], *answers.redirects) for server in _claimants(name, facts)
        ]
        for name, server in more:
            found.append(
                block(
                    "site.name-taken",
                    f"{server.path} serves {name} already.",
                    "Two sites with one name: nginx would use only the first.",
                    f"Take {name} out of the server_name at line {server.line}: sudo nano +{server.line} {server.path}",
                )
            )
        for server in _claimants(answers.domain, facts):
            others = _other_names(server.path, answers.domain, facts)
            if not facts.config.optional(server.path):
                found.append(
                    block(
                        "site.name-taken",
                        f"{server.path} serves {answers.domain} already, and nginx cannot do without that file.",
                        "Two sites with one name: nginx would use only the first; and this one cannot be moved away whole.",
                        f"Take the server block at line {server.line} out: sudo nano +{server.line} {server.path}",
                    )
                )
            elif others:
                found.append(
                    block(
                        "site.name-taken",
                        f"{server.path} serves {answers.domain} already, together with {', '.join(others)}.",
                        "Two sites with one name: nginx would use only the first; and taking the file over would end the others.",
                        f"Take {answers.domain} out of the server_name at line {server.line}: "
                        f"sudo nano +{server.line} {server.path}",
                    )
                )
            else:
                found.append(
                    note(
                        "site.by-hand",
                        f"{server.path} is a site for {answers.domain} that someone made by hand.",
                        "It is taken over; nothing in it is lost.",
                        f"Its text stays: {_stays(server.path, facts)}",
                    )
                )
        for server, listen in ((s, listen) for s in facts.config.streams for listen in s.listens):
            if listen.port in (80, 443) and "udp" not in listen.options:
                found.append(
                    block(
                        "site.stream",
                        f"Port {listen.port} belongs to a stream block of nginx: {server.path}, line {server.line}.",
                        "nginx cannot listen there for websites, too: it would not start again.",
                        f"If it is not needed, take it out: sudo nano +{server.line} {server.path} ; then: sudo nginx -t && "
                        "sudo nginx -s reload ; then run hermes-setup again.",
                    )
                )
        port = f":{facts.backend.port}"
        for path in sorted(_open_doors(facts, port)):
            found.append(
                warn(
                    "site.other-door",
                    f"{path} passes requests to {facts.backend}, too, without asking for a password.",
                    "Whoever finds that site has Hermes, and with it this server.",
                    f"Take it out (sudo nano {path}), then: sudo nginx -t && sudo nginx -s reload",
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """The site's file and link, tried on a copy first; then nginx loads them."""
        if facts.served is None and facts.shown and _tls(answers.domain, _before(facts)):
            # Its certificate is gone or damaged, and nginx has it in memory still: it serves on until there is another.
            return ()
        sites = facts.config.sites
        text = self._render(answers, facts)
        moving = facts.served is None and _tls_for_another(answers.domain, facts)
        available = AVAILABLE + NEXT if moving else AVAILABLE
        link = f"{sites}/{_last(sites, facts)}{NEXT if moving else ''}" + (".conf" if sites.endswith("conf.d") else "")
        wanted: dict[str, Place] = {}

        def want(path: str, node: Node, why: str) -> None:
            if facts.nodes.get(path, ABSENT) != node:
                wanted[path] = Place(path, node, why)

        for path, why in self._takeovers(answers, facts):
            copy = _copy_path(path, facts)
            content = tree.content(facts.nodes, facts.config, path)
            if _stays(path, facts) == copy:
                want(copy, File(content), f"keep a copy of {path}")
            if path != AVAILABLE:
                want(path, ABSENT, why)
        for path, node in facts.nodes.items():
            older = (AVAILABLE + NEXT,) if moving else (AVAILABLE, AVAILABLE + NEXT)
            if isinstance(node, Link) and path != link and tree.target(path, node) in older:
                want(path, ABSENT, "an older link of the site")
        if not moving:
            want(AVAILABLE + NEXT, ABSENT, "the new name has its certificate; the waiting site goes")
        if not facts.ipv6:
            for path in _examples_with_ipv6(facts):
                want(path, ABSENT, "the distribution's example site wants IPv6, which this machine does not have")
        title = (
            "serve Hermes over HTTPS"
            if facts.served
            else "answer the certificate's challenge; a waiting page for the rest"
        )
        if facts.served and answers.allow:
            title += f", to these addresses only: {addresses.told(answers.allow)}"
        elif facts.served and addresses.listed(_before(facts)):
            title += ", to all addresses again"
        if facts.served and answers.webhooks:
            title += f"; webhooks: {', '.join(map(str, answers.webhooks.hooks))}"
            if now := _waiting(answers, facts):
                title += (
                    f", where they are ({now.host or answers.domain}) until the certificate holds {answers.names[-1]}"
                )
        if facts.served and answers.redirects:
            earlier = [name.shown for name in answers.redirects]
            title += f"; {' and '.join(earlier)} {'leads' if len(earlier) == 1 else 'lead'} there"
        want(available, File(text.encode("utf-8", "surrogateescape")), f"{answers.domain.label}: {title}")
        want(
            link,
            Link(posixpath.relpath(available, posixpath.dirname(link))),
            "switch the site on; it sorts last, so it is nobody's default",
        )

        changes: list[Change] = []
        if not isinstance(facts.webroot, Folder):
            changes.append(Place(CHALLENGES, Folder(), "where certbot puts the challenge's answers"))
        for path, folder in facts.closed:
            why = "nginx may enter it: the challenge's answers lie below"
            changes.append(Place(path, replace(folder, mode=folder.mode | 0o555), why))
        if wanted:
            places = sorted(wanted.values(), key=lambda place: _rank(place.path, place.node))
            changes.append(
                Probe(trial.Trial({p.path: p.node for p in places}), "have nginx try the new configuration on a copy")
            )
            changes += places
        stamp = digests.digest(text, facts.gate)
        stale = facts.served is not None and facts.running and facts.shown != facts.served.fingerprint
        if wanted or facts.stamp != stamp or not facts.running or stale:
            changes += load(facts, stamp)
        return changes

    def _takeovers(self, answers: Answers, facts: Facts) -> list[tuple[str, str]]:
        found = [
            (
                server.path,
                f"taken over: it served {answers.domain}, too; its text stays in {_stays(server.path, facts)}",
            )
            for server in _claimants(answers.domain, facts)
        ]
        there = facts.nodes.get(AVAILABLE)
        if isinstance(there, File) and not there.content.startswith(tree.OURS.encode()):
            found.append((AVAILABLE, "taken over"))
        return list(dict(found).items())

    def _render(self, answers: Answers, facts: Facts) -> str:
        domain, served, hooks = answers.domain, facts.served, answers.webhooks
        seat = _seat(answers, facts)
        plain = [(_server_name(domain), domain.ascii if served else "")]
        if seat and seat.host:
            plain.append((_server_name(seat.host), seat.host))
        plain += [(_server_name(name), "") for name in answers.names[1:] if seat is None or seat.host != name.ascii]
        neighbours = [server for server in facts.config.servers if not server.ours]
        on_443 = [listen for server in neighbours for listen in server.listens if listen.port == 443]
        directive = facts.version >= HTTP2_DIRECTIVE
        # On older versions http2 belongs to the socket: it would be switched on for the neighbours on it, too.
        option = not directive and all("http2" in listen.options for listen in on_443)
        curves = "X25519:prime256v1:secp384r1"
        return self._renderer.render(
            "site.conf",
            domain=domain.ascii,
            server_name=_server_name(domain),
            origin=quoting.map_key(f"https://{domain}"),
            backend=str(facts.backend),
            tls=served is not None,
            webroot=WEBROOT,
            gate_file=GATE_FILE,
            users_file=USERS_FILE,
            listens_http=_listens(80, "", neighbours, facts),
            listens_https=_listens(443, " ssl http2" if option else " ssl", neighbours, facts),
            http2_directive=directive,
            certificate=served.certificate if served else "",
            key=served.key if served else "",
            # OpenSSL 3.5 brought the hybrid with ML-KEM (its CHANGES.md); older ones refuse the name.
            curves=f"X25519MLKEM768:{curves}" if facts.openssl >= (3, 5) else curves,
            hsts=bool(served and served.trusted),
            forwarded_for=facts.forwarded_for,
            allow=answers.allow,
            here="" if not answers.allow or permits(answers.allow, "127.0.0.1") else "127.0.0.1",
            real_ip=facts.real_ip,
            hooks_real_ip=facts.hooks_real_ip,
            hooks=_hooks(hooks, facts.backend) if hooks else (),
            hooks_allow=hooks.allow if hooks else (),
            hooks_here=seat is not None and not seat.host,
            hooks_host=seat.host if seat else "",
            hooks_server_name=_server_name(seat.host) if seat and seat.host else "",
            hooks_certificate=seat.certificate if seat else "",
            hooks_key=seat.key if seat else "",
            plain=plain,
            redirects=[
                (name.ascii, _server_name(name), own.certificate if own else "", own.key if own else "")
                for name, own in facts.redirects
            ],
            pending_page=self._renderer.render(
                "page.html",
                again=True,
                title="Almost there",
                lines=[
                    "This is the place where Hermes will be. Its certificate is being fetched; until then nothing is served here.",
                    "If you are setting it up: go on with <code>sudo hermes-setup</code> on the server.",
                ],
            ),
            refused_page=self._renderer.render(
                "page.html",
                again=False,
                title="Not from this address",
                lines=[
                    # nginx fills it in: an address as it prints one itself (ngx_sock_ntop), never what somebody sent
                    "This page opens only to some addresses. Yours, as this server sees it: <code>$remote_addr</code>",
                    "If it is your server: run <code>sudo hermes-setup</code> on it and choose Allowed addresses. "
                    "(Of an IPv6 address allow the /64 that it is in: devices change the rest.)",
                    "A password alone does not help here. The address of a phone or at home changes now and then.",
                ],
            ),
            down_page=self._renderer.render(
                "page.html",
                again=True,
                title="Hermes is not running yet",
                lines=[
                    f"You are signed in, and this site works; but nothing answers at {facts.backend} on the server.",
                    f"Start it there: <code>hermes dashboard --host {facts.backend.address} --port {facts.backend.port} --no-open</code>",
                    "What is wrong: <code>sudo hermes-setup doctor</code>",
                ],
            ),
        )


@dataclass(frozen=True)
class Location:
    """What lets a platform's senders in: where nginx looks for the path, and how the request line has to begin."""

    title: str
    match: str
    line: str
    methods: str
    upstream: str


def _hooks(webhooks: Webhooks, backend: Backend) -> list[Location]:
    """The locations of the platforms. The gateway listens where the dashboard does, or on this machine's 127.0.0.1.

    nginx matches the path as it reads it: decoded, without // and .. (ngx_http_parse_complex_uri). What is passed on is the
    request line as it came, so that has to be the very path, too.
    """
    address = "127.0.0.1" if backend.local else str(replace(backend, port=0)).removesuffix(":0")
    found = []
    for hook in webhooks.hooks:
        platform, upstream = hook.platform, f"{address}:{hook.port}"
        plain = re.escape(platform.path)
        pattern = platform.pattern or plain
        match = f'~ "^{pattern}$"' if platform.pattern else f"= {platform.path}"
        methods = "GET POST" if platform.reads else "POST"
        found.append(Location(platform.title, match, f"^{pattern}(?:[?]|$)", methods, upstream))
        if platform.media:
            title = f"{platform.title}: what Hermes sends"
            found.append(Location(title, f'~ "^{platform.media}$"', f"^{platform.media}(?:[?]|$)", "GET", upstream))
    return found


def _seat(answers: Answers, facts: Facts) -> HooksNow | None:
    """Where the site is to serve the webhooks over HTTPS; None for nowhere: there are none, or not yet."""
    hooks, served = answers.webhooks, facts.served
    if hooks is None or served is None:
        return None
    if hooks.host is None:
        return HooksNow()
    if facts.certified(hooks.host):
        return HooksNow(hooks.host.ascii, served.certificate, served.key)
    return _waiting(answers, facts)


def _waiting(answers: Answers, facts: Facts) -> HooksNow | None:
    """Where webhooks are served as before, while their new name waits for its certificate; None when nothing waits so."""
    host, now = answers.webhooks.host if answers.webhooks else None, facts.hooks_now
    if host is None or facts.served is None or facts.certified(host) or now is None:
        return None
    taken = {each.ascii for each in (answers.domain, *answers.redirects)}
    return None if now.host in taken else now


def _hooks_now(host: Host, ours: str) -> HooksNow | None:
    """What our site's text says of webhooks that it serves over HTTPS; None for none, or when their certificate is gone."""
    own = re.search(
        r'^# The webhooks\' own name.*?\$host != "([^"]+)".*?^ *ssl_certificate (\S+);\n *ssl_certificate_key (\S+);',
        ours,
        re.M | re.S,
    )
    if own is None:
        return HooksNow() if "limit_req zone=hermes_hooks" in ours else None
    name, *pair = own.groups()
    there = all(isinstance(tree.resolve(host, path), File) for path in pair)
    return HooksNow(name, *pair) if there else None


def load(facts: Facts, stamp: str) -> list[Change]:
    """nginx runs with what is on the disk: the stamp is cleared, nginx loads, the stamp says what it loaded."""
    if facts.running:
        run = reload(facts.config.pid, systemd=facts.unit_active)
    else:
        again = reload(facts.config.pid, systemd=facts.systemd)
        argv = ("systemctl", "enable", "--now", "nginx") if facts.systemd else ("nginx",)
        run = replace(again, argv=argv, why="start nginx")
    return [
        Stamp(STAMP, ABSENT, "what nginx has loaded"),
        run,
        Stamp(STAMP, File(stamp.encode(), 0o600), "what nginx has loaded"),
    ]


def reload(pid: str, *, systemd: bool) -> Run:
    """The command after which nginx's new workers answer. Its way back is itself: the files are put back first."""
    argv = ("systemctl", "reload", "nginx") if systemd else ("nginx", "-s", "reload")
    until = Until(
        "nginx's new workers answer",
        before=lambda host: processes.workers(host, pid),
        holds=lambda host, before: processes.reloaded(before, processes.workers(host, pid)),
        hint="Look at: sudo nginx -t; sudo tail /var/log/nginx/error.log",
    )
    why = "have nginx load the new configuration, without dropping a connection"
    hint = f"Look at: sudo nginx -t{'; sudo systemctl status nginx' if systemd else ''}"
    return Run(argv, why, gives=RUNS, undo_argv=argv, until=until, seconds=60, hint=hint)


def _ours(host: Host) -> str:
    """Our site's text as it is, "" when it is not there or not ours."""
    node = host.look(AVAILABLE)
    text = node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""
    return text if text.startswith(tree.OURS) else ""


def _backend(answers: Answers, host: Host, ours: str) -> tuple[Backend, bool]:
    """Where the site sends requests, and whether with the client's address: as answered, as found, as it was, as usual."""
    seen = BackendStage().inspect(answers, host)
    found = seen.chosen(answers)
    was = tree.upstream(ours)
    chosen = answers.backend or found or (Backend.parse(was) if was else DEFAULT_BACKEND)
    if seen.version:
        # 0.14 and older take a public address there for a request from outside and refuse its WebSockets
        return chosen, tree.parse_version(seen.version) >= (0, 15)
    return chosen, not ours or "X-Forwarded-For" in ours or "ssl_certificate" not in ours


def _candidate(host: Host) -> tuple[int, ...]:
    """The version that the distribution carries; apt is not asked, since asking makes it write its cache."""
    release = host.look("/etc/os-release")
    text = release.content.decode(errors="replace") if isinstance(release, File) else ""
    known = {"bookworm": (1, 22, 1), "trixie": (1, 26, 3), "jammy": (1, 18, 0), "noble": (1, 24, 0)}
    return next((version for name, version in known.items() if f"CODENAME={name}" in text), (1, 26, 3))


def _server_name(domain: Domain | str) -> str:
    """As it stands in the site: quoted where it has characters that nginx would take apart."""
    name = quoting.server_name(str(domain))
    return name if name == str(domain) else quoting.quote(name)


def _claimants(domain: Domain, facts: Facts) -> list[Server]:
    """Servers in files of others that have our name."""
    ours = {domain.ascii, f".{domain.ascii}"}  # a dot in front stands for the name itself, too
    return [server for server in facts.config.servers if not server.ours and ours & set(server.names)]


def _other_names(path: str, domain: Domain, facts: Facts) -> list[str]:
    """What else the file serves, besides our name (and names that stand for nothing)."""
    names = {name for server in facts.config.servers if server.path == path for name in server.names or ("(no name)",)}
    return sorted(names - {domain.ascii, "_", f"www.{domain.ascii}"})


def _open_doors(facts: Facts, port: str) -> set[str]:
    return {
        path
        for path, text in facts.config.files.items()
        if not text.startswith(tree.OURS)
        and "auth_basic" not in text
        and any(f"{name}{port}" in text for name in ("127.0.0.1", "localhost", "[::1]"))
    }


def _before(facts: Facts) -> str:
    """What stands at our site's place now, "" for nothing."""
    node = facts.nodes.get(AVAILABLE)
    return node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""


def _closed(host: Host) -> tuple[tuple[str, Folder], ...]:
    """The folders from the webroot down to the challenges that not everybody may enter."""
    found = []
    for path in (WEBROOT, posixpath.dirname(CHALLENGES), CHALLENGES):
        node = host.look(path)
        if isinstance(node, Folder) and not node.mode & 0o001:
            found.append((path, node))
    return tuple(found)


def _tls(domain: Domain, text: str) -> bool:
    """True when that text of our site serves the domain over HTTPS."""
    return text.startswith(tree.OURS) and "ssl_certificate" in text and f"\n# {domain} -> Hermes" in text


def _tls_for_another(domain: Domain, facts: Facts) -> bool:
    """True when our site serves another name over HTTPS at the moment."""
    text = _before(facts)
    return text.startswith(tree.OURS) and "ssl_certificate" in text and f"\n# {domain} -> Hermes" not in text


def _last(folder: str, facts: Facts) -> str:
    """A name for our link that sorts behind every other in the folder (glob(3) sorts by bytes in nginx's C locale)."""
    taken = [
        posixpath.basename(path)
        for path, node in facts.nodes.items()
        if posixpath.dirname(path) == folder
        and not isinstance(node, Absent)
        and not (isinstance(node, Link) and tree.target(path, node) in (AVAILABLE, AVAILABLE + NEXT))
    ]
    name = LINK
    while any(other >= name for other in taken) and len(name) < 40:
        name = "z" + name
    return name if all(other < name for other in taken) else "~" + LINK


def _copy_path(path: str, facts: Facts) -> str:
    """Where the text of a site that is taken over stays, out of nginx's sight; never over an earlier copy."""
    copy = f"{tree.FOLDER}/sites-available/{posixpath.basename(path)}.by-hand"
    text = tree.content(facts.nodes, facts.config, path)
    for candidate in (copy, *(f"{copy}-{number}" for number in range(2, 100))):
        there = facts.nodes.get(candidate, ABSENT)
        if isinstance(there, Absent) or (isinstance(there, File) and there.content == text):
            return candidate
    return f"{copy}-100"


def _stays(path: str, facts: Facts) -> str:
    """Where its text is afterwards: behind a link, where it was; else in a copy."""
    behind = tree.target(path, facts.nodes.get(path, ABSENT))
    return behind if behind and behind != AVAILABLE else _copy_path(path, facts)


def _examples_with_ipv6(facts: Facts) -> list[str]:
    return [
        server.path
        for server in facts.config.servers
        if server.path == f"{tree.FOLDER}/sites-enabled/default"
        and server.names == ("_",)
        and any(listen.address.startswith("[") for listen in server.listens)
        and isinstance(facts.nodes.get(server.path), Link)
    ]


def _listens(port: int, options: str, neighbours: Sequence[Server], facts: Facts) -> list[str]:
    """Where to listen: everywhere, unless nginx holds that port by address already.

    A request to an address that a neighbour listens on by number is only ever given to servers that name it as well
    (nginx docs, request_processing), so we name it, too. And while nginx holds 203.0.113.5:80, the kernel refuses it a
    socket for all addresses (seen: the reload fails), and the other way round; then every address of this machine is
    named instead.
    """
    taken = [
        listen
        for server in neighbours
        for listen in map(_numeric, server.listens)
        if listen and listen.port == port and not listen.address.startswith("unix:") and "quic" not in listen.options
    ]
    held = [each.address for each in facts.held if each.port == port]
    dual = any(listen.address == "[::]" and "ipv6only=off" in listen.options for listen in taken)
    found: list[str] = []
    for everywhere, family in (("", 4), ("[::]:", 6)):
        if family == 6 and not facts.ipv6:
            continue
        named = [
            each.address for each in taken if _family(each.address) == family and each.address not in ("*", "[::]")
        ]
        open_now = [address for address in held if (":" in address) == (family == 6)]
        if family == 4 and dual and not any(each.address == "*" for each in taken):
            pass  # the neighbour's [::] takes IPv4 as well
        elif _by_address(family, open_now, named, taken):
            own = ["127.0.0.1" if family == 4 else "[::1]"]
            own += [_bracketed(each) for each in facts.addresses if (":" in each) == (family == 6)]
            named = list(dict.fromkeys([*named, *own]))
        else:
            found.append(f"{everywhere}{port}")
        found += dict.fromkeys(f"{address}:{port}" for address in named)
    return [f"{each}{options}" for each in found]


def _numeric(listen: tree.Listen) -> tree.Listen | None:
    """The listen with its address in figures; None for a name that only its resolver knows."""
    if listen.address == "localhost":
        return replace(listen, address="127.0.0.1")  # nginx asks getaddrinfo; hosts(5) has it
    try:
        ipaddress.ip_address(listen.address.strip("[]"))
    except ValueError:
        return listen if listen.address == "*" else None
    return listen


def _by_address(family: int, open_now: Sequence[str], named: Sequence[str], taken: Sequence[tree.Listen]) -> bool:
    """True when nginx holds the port by address: as it runs now, else as the neighbours' files have it."""
    if open_now:
        return not any(address in ("0.0.0.0", "::") for address in open_now)  # noqa: S104 - compared, not bound
    everywhere = "*" if family == 4 else "[::]"
    return bool(named) and not any(each.address == everywhere for each in taken)


def _family(address: str) -> int:
    return 6 if address.startswith("[") else 4


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _rank(path: str, node: Node) -> int:
    """Copies first, then what goes, then the file, then the link that switches it on: valid after each single step."""
    if ".by-hand" in path:
        return 0
    if isinstance(node, Absent):
        return 3 if path.endswith((NEXT, f"{NEXT}.conf")) else 1
    return 4 if isinstance(node, Link) else 2
