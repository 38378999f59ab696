"""The site: plain HTTP (the challenge, and a short page) while there is no certificate, HTTPS once there is one.

It is in the order of steps twice, before and after the certificate; no flag says which. A guest among sites: its link
sorts last, it is never the default server, it never enables anything for a neighbour.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.digests import certificate_fingerprint
from hermes_setup.engine.changes import Change, Probe
from hermes_setup.engine.findings import Finding
from hermes_setup.host import Absent, Host, Node, Request, has_systemd
from hermes_setup.nginx import processes, tree, trial
from hermes_setup.nginx.render import Renderer
from hermes_setup.nginx.tree import Config
from hermes_setup.stages.addresses import trusted_proxies
from hermes_setup.stages.certificate import webroot
from hermes_setup.stages.certificate.serving import certificate_for
from hermes_setup.stages.hermes import dashboards
from hermes_setup.stages.site.facts import LOG, PENDING, SITE_FILE, Facts, our_text, serves_over_https
from hermes_setup.stages.site.loading import RUNNING, load
from hermes_setup.stages.site.neighbours import handed_down, no_folder, streams_on_our_ports, without_password
from hermes_setup.stages.site.placing import log_changes, site_places
from hermes_setup.stages.site.render import site_text
from hermes_setup.stages.site.takeover import names_taken
from hermes_setup.stages.site.webhooks import place_now
from hermes_setup.stages.users import cookies
from hermes_setup.state import stamps

DISTRIBUTIONS = {"bookworm": (1, 22, 1), "trixie": (1, 26, 3), "jammy": (1, 18, 0), "noble": (1, 24, 0)}
"""The nginx that each has. apt is not asked, since asking makes it write its cache."""


class Site:
    """See the module."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads nginx's files, its processes, and the certificate."""
        config = tree.read(host)
        installed = tree.version(host)
        served = certificate_for(answers, host)
        text = our_text(host)
        backend, forwarded_for = _backend(answers, host, text)
        master = processes.workers(host, config.pid).master
        systemd = has_systemd(host)
        # The distribution's package starts nginx where systemd runs.
        started = host.given(RUNNING) or (systemd and not installed and host.given("packages"))
        shown = ""
        if served and started:
            shown = served.fingerprint  # whatever starts it, it reads what is there
        elif master and (served or serves_over_https(answers.domain, text)):
            shown = _shown_certificate(answers, host)
        return Facts(
            config=config if config.files else tree.DEBIAN_DEFAULT,
            version=installed or _available_version(host),
            openssl=tree.parse_version(host.ask(["openssl", "version"]).out),
            running=bool(master) or started,
            systemd=systemd,
            unit_active=systemd and (started or host.ask(["systemctl", "is-active", "--quiet", "nginx"]).ok),
            sockets=tuple(each for each in host.listeners() if each.process == "nginx"),
            shown_certificate=shown,
            ipv6=not isinstance(host.look("/proc/net/if_inet6"), Absent),
            addresses=host.addresses(),
            nodes=_nodes(host, config),
            webroot=tuple((path, host.look(path)) for path in webroot.FOLDERS),
            backend=backend,
            forwarded_for=forwarded_for,
            served=served,
            gate_text=cookies.gate_text(host),
            loaded=tree.text_of(host.look(stamps.NGINX)),
            real_ip=trusted_proxies.for_dashboard(answers, host, text),
            webhooks_real_ip=trusted_proxies.for_webhooks(answers, host, text),
            redirects=tuple((name, certificate_for(answers.about(name), host)) for name in answers.redirects),
            webhooks_now=place_now(host, text),
            log_mode=_log_mode(host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Our names are free, nginx reads a folder for sites, and no other site is in the way."""
        return [
            *no_folder(facts),
            *names_taken(answers, facts),
            *streams_on_our_ports(facts),
            *handed_down(facts),
            *without_password(facts),
        ]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """The site's file and link, tried on a copy first; then nginx loads them."""
        if facts.served is None and facts.shown_certificate and serves_over_https(answers.domain, facts.text):
            # Its certificate is missing or damaged, and nginx has it in memory still: the site stays until there is another.
            return ()
        text = site_text(answers, facts, self._renderer)
        places = site_places(answers, facts, text)
        changes: list[Change] = [*webroot.places(facts.webroot), *log_changes(facts)]
        if places:
            new: dict[str, Node] = {place.path: place.node for place in places}
            changes.append(Probe(trial.Trial(new), "have nginx test the new configuration on a copy"))
            changes += places
        return changes + load(facts, text, changed=bool(places))


def _backend(answers: Answers, host: Host, text: str) -> tuple[Backend, bool]:
    """Where the site sends requests, and whether with the visitor's address: as answered, as before, as found, as usual."""
    found = dashboards.find(host, answers.backend)
    chosen = found.chosen or found.looked_for
    if found.version:
        # 0.14 and older take a public address there for a request from outside and refuse its WebSockets
        return chosen, tree.parse_version(found.version) >= (0, 15)
    return chosen, not text or "X-Forwarded-For" in text or "ssl_certificate" not in text


def _shown_certificate(answers: Answers, host: Host) -> str:
    request = Request("127.0.0.1", 443, answers.domain.ascii, method="", tls=True, seconds=3.0)
    return certificate_fingerprint(host.fetch(request).certificate)


def _nodes(host: Host, config: Config) -> dict[str, Node]:
    """The paths that may be changed: our file, the files of all servers, and all in the folders for sites."""
    paths = {SITE_FILE, SITE_FILE + PENDING} | {server.path for server in config.servers}
    for folder in ("sites-available", "sites-enabled", "conf.d"):
        paths |= {f"{tree.FOLDER}/{folder}/{name}" for name in host.names(f"{tree.FOLDER}/{folder}")}
    return {path: host.look(path) for path in sorted(paths)}


def _available_version(host: Host) -> tuple[int, ...]:
    """The nginx that the distribution would install."""
    release = tree.text_of(host.look("/etc/os-release"))
    return next((version for name, version in DISTRIBUTIONS.items() if f"CODENAME={name}" in release), (1, 26, 3))


def _log_mode(host: Host) -> int | None:
    """The permissions of the site's log, None while there is none. (Only a look at its content would be slow.)"""
    if posixpath.basename(LOG) not in host.names(posixpath.dirname(LOG)):
        return None
    said = host.ask(["stat", "-c", "%a", LOG]).out.strip()
    return int(said, 8) if re.fullmatch(r"[0-7]{1,5}", said) else 0
