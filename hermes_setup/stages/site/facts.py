"""What the site stage knows: nginx, the certificates, and our site's text as it is."""

from __future__ import annotations

from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.host import Host, Listener, Node
from hermes_setup.nginx import tree
from hermes_setup.nginx.tree import Config
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.values import dataclass

SITE_FILE = "/etc/nginx/sites-available/hermes"
LOG = "/var/log/nginx/hermes-access.log"
PENDING = "-next"
"""What SITE_FILE and its link end in while a new domain has no certificate: until then the old domain is served."""


UNSET = {
    "server": {
        "add_after_body": '""',
        "add_before_body": '""',
        "limit_req_dry_run": "off",
        "ssi": "off",
        "ssl_early_data": "off",
        "ssl_verify_client": "off",
    },
    "location": {
        "auth_request": "off",
        "limit_conn": "hermes_unlimited_connections 65535",
        "modsecurity": "off",
    },
    "proxy": {
        "proxy_method": "$request_method",
        "proxy_pass_header": "X-Hermes-Nothing",
        "proxy_pass_request_body": "on",
        "proxy_pass_request_headers": "on",
        "proxy_store": "off",
    },
}
"""Directives of the http block, where our site says them again, and what then: in each server over HTTPS, in each location
that may be protected, in each that passes requests on. The first two of a server make subrequests, as ssi does, and those are
asked for no password (ngx_http_core_module.c: the access phase is the main request's)."""


@dataclass(frozen=True)
class WebhooksPlace:
    """Where webhooks are served over HTTPS: under a name of their own with its certificate; host "": on paths of the domain."""

    host: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True)
class Facts:
    """All that decides what the site's file says, and whether nginx has loaded it."""

    # nginx: its files, and the process
    config: Config
    version: tuple[int, ...]  # the installed one; before that, the one that the distribution has
    openssl: tuple[int, ...]
    running: bool
    systemd: bool  # this machine runs systemd
    unit_active: bool  # nginx runs as its unit
    sockets: tuple[Listener, ...]  # those that nginx has open now
    shown_certificate: str  # the fingerprint of the one that nginx shows for the domain, "" for none
    # the machine
    ipv6: bool  # the kernel has it: listen [::] works
    addresses: tuple[str, ...]
    nodes: dict[str, Node]  # the paths that may be changed, as they are
    webroot: tuple[tuple[str, Node], ...]  # the folders of the challenges, outermost first
    # what the site is made of
    backend: Backend
    forwarded_for: bool  # Hermes gets the visitor's address
    served: Served | None
    gate_text: str  # the cookies' file
    loaded: str  # the stamp: a digest of what nginx has loaded
    real_ip: tuple[str, ...] = ()  # the proxies whose word about a visitor's address counts
    webhooks_real_ip: tuple[str, ...] = ()  # the same under the webhooks' own name
    redirects: tuple[tuple[Domain, Served | None], ...] = ()  # each redirected domain, and its own certificate
    webhooks_now: WebhooksPlace | None = None  # where our site serves webhooks now, while its certificate is there
    log_mode: int | None = None  # of the site's log; None while there is none

    def unset(self, place: str) -> tuple[str, ...]:
        """The lines there that unset what the http block hands down, and is seldom there or not in every nginx."""
        return tuple(f"{name} {value}" for name, value in UNSET[place].items() if name in self.config.http)

    @property
    def text(self) -> str:
        """What is at our site's place now, "" for nothing. It may be someone else's."""
        return tree.text_of(self.nodes.get(SITE_FILE))

    def certificate_covers(self, name: Domain) -> bool:
        """True when the certificate that is served is for that name, too. (A forecast has none to look into.)"""
        return self.served is not None and (self.served.x509 is None or self.served.x509.covers(name))

    def serves_another_domain(self, domain: Domain) -> bool:
        """True when our site serves another domain over HTTPS at the moment."""
        return _is_https(self.text) and not serves_over_https(domain, self.text)


def our_text(host: Host) -> str:
    """Our site's text on that machine, "" when there is none or it is not ours."""
    text = tree.text_of(host.look(SITE_FILE))
    return text if text.startswith(tree.HEADER) else ""


def serves_over_https(domain: Domain, text: str) -> bool:
    """True when that text is ours, and serves the domain over HTTPS."""
    return _is_https(text) and f"\n# {domain} -> Hermes" in text


def _is_https(text: str) -> bool:
    return text.startswith(tree.HEADER) and "ssl_certificate" in text
