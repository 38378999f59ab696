"""The site: plain HTTP (the challenge, and a short page) while there is no certificate, HTTPS once there is one.

It stands in the order of stages twice, before and after the certificate; there is no flag that says which. A guest among
sites: its link sorts last, it is nobody's default server, it never switches anything on for a neighbour.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from hermes_setup import digests
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import DEFAULT_BACKEND, Backend
from hermes_setup.engine.changes import Change, Probe
from hermes_setup.engine.findings import Finding
from hermes_setup.host import Absent, File, Folder, Host, Request
from hermes_setup.nginx import processes, tree, trial
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.addresses import stage as addresses
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.certificate.lineages import CHALLENGES, WEBROOT
from hermes_setup.stages.hermes import dashboards
from hermes_setup.stages.site.facts import AVAILABLE, NEXT, Facts, our_text, serves_over_https, text_now
from hermes_setup.stages.site.loading import RUNS, STAMP, load
from hermes_setup.stages.site.neighbours import no_folder, streams, unprotected
from hermes_setup.stages.site.placing import order, site_places, webroot
from hermes_setup.stages.site.render import site_text
from hermes_setup.stages.site.takeover import names_taken
from hermes_setup.stages.site.webhooks import served_now
from hermes_setup.stages.users.cookies import GATE_FILE


class Site:
    """See the module. `name` and `title` tell its two places in the order apart; nothing else does."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads nginx's tree, its processes, and the certificate."""
        config = tree.read(host)
        installed = tree.version(host)
        served = serving.certificate_for(answers, host)
        ours = our_text(host)
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
        elif workers.master and (served or serves_over_https(answers.domain, ours)):
            request = Request("127.0.0.1", 443, answers.domain.ascii, method="", tls=True, seconds=3.0)
            shown = digests.certificate_fingerprint(host.fetch(request).certificate)
        paths = {AVAILABLE, AVAILABLE + NEXT} | {server.path for server in config.servers}
        for folder in ("sites-available", "sites-enabled", "conf.d"):
            paths |= {f"{tree.FOLDER}/{folder}/{name}" for name in host.names(f"{tree.FOLDER}/{folder}")}
        return Facts(
            config=config if config.files else tree.DEBIAN_DEFAULT,
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
            redirects=tuple((name, serving.certificate_for(answers.about(name), host)) for name in answers.redirects),
            hooks_now=served_now(host, ours),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """The name is free for us, and nginx reads a folder for sites."""
        return [*no_folder(facts), *names_taken(answers, facts), *streams(facts), *unprotected(facts)]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """The site's file and link, tried on a copy first; then nginx loads them."""
        if facts.served is None and facts.shown and serves_over_https(answers.domain, text_now(facts)):
            # Its certificate is gone or damaged, and nginx has it in memory still: it serves on until there is another.
            return ()
        text = site_text(answers, facts, self._renderer)
        places = sorted(site_places(answers, facts, text), key=lambda place: order(place.path, place.node))
        changes: list[Change] = [*webroot(facts)]
        if places:
            new = {place.path: place.node for place in places}
            changes.append(Probe(trial.Trial(new), "have nginx try the new configuration on a copy"))
            changes += places
        stamp = digests.digest(text, facts.gate)
        stale = facts.served is not None and facts.running and facts.shown != facts.served.fingerprint
        if places or facts.stamp != stamp or not facts.running or stale:
            changes += load(facts, stamp)
        return changes


def _backend(answers: Answers, host: Host, ours: str) -> tuple[Backend, bool]:
    """Where the site sends requests, and whether with the client's address: as answered, as found, as it was, as usual."""
    found = dashboards.find(host, answers.backend)
    was = tree.upstream_address(ours)
    chosen = found.chosen or (Backend.parse(was) if was else DEFAULT_BACKEND)
    if found.version:
        # 0.14 and older take a public address there for a request from outside and refuse its WebSockets
        return chosen, tree.parse_version(found.version) >= (0, 15)
    return chosen, not ours or "X-Forwarded-For" in ours or "ssl_certificate" not in ours


def _candidate(host: Host) -> tuple[int, ...]:
    """The version that the distribution carries; apt is not asked, since asking makes it write its cache."""
    release = host.look("/etc/os-release")
    text = release.content.decode(errors="replace") if isinstance(release, File) else ""
    known = {"bookworm": (1, 22, 1), "trixie": (1, 26, 3), "jammy": (1, 18, 0), "noble": (1, 24, 0)}
    return next((version for name, version in known.items() if f"CODENAME={name}" in text), (1, 26, 3))


def _closed(host: Host) -> tuple[tuple[str, Folder], ...]:
    """The folders from the webroot down to the challenges that not everybody may enter."""
    found = []
    for path in (WEBROOT, posixpath.dirname(CHALLENGES), CHALLENGES):
        node = host.look(path)
        if isinstance(node, Folder) and not node.mode & 0o001:
            found.append((path, node))
    return tuple(found)
