"""What the site stage knows: nginx's tree, the certificate, and our site's text as it is."""

from __future__ import annotations

from hermes_setup.answers.fields import Backend, Domain
from hermes_setup.host import File, Folder, Host, Listener, Node
from hermes_setup.nginx import tree
from hermes_setup.nginx.tree import Config
from hermes_setup.stages.certificate import serving
from hermes_setup.values import dataclass

AVAILABLE = "/etc/nginx/sites-available/hermes"


NEXT = "-next"  # a second site for a new name, until its certificate is there; the old name is served meanwhile


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
    hooks_now: WebhooksNow | None = None  # where our site serves webhooks at the moment, while its certificate is there
    closed: tuple[
        tuple[str, Folder], ...
    ] = ()  # folders on the way to the challenges that nginx's workers cannot enter

    def certified(self, name: Domain) -> bool:
        """True when the certificate that is served holds that name, too. (A forecast has none to look into.)"""
        return self.served is not None and (self.served.x509 is None or self.served.x509.covers(name))


@dataclass(frozen=True)
class WebhooksNow:
    """Where webhooks are served over HTTPS now: on a host of their own with its certificate; "": on paths of the domain."""

    host: str = ""
    certificate: str = ""
    key: str = ""


def our_text(host: Host) -> str:
    """Our site's text as it is, "" when it is not there or not ours."""
    node = host.look(AVAILABLE)
    text = node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""
    return text if text.startswith(tree.HEADER) else ""


def text_now(facts: Facts) -> str:
    """What stands at our site's place now, "" for nothing."""
    node = facts.nodes.get(AVAILABLE)
    return node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""


def serves_over_https(domain: Domain, text: str) -> bool:
    """True when that text of our site serves the domain over HTTPS."""
    return text.startswith(tree.HEADER) and "ssl_certificate" in text and f"\n# {domain} -> Hermes" in text


def serves_another_over_https(domain: Domain, facts: Facts) -> bool:
    """True when our site serves another name over HTTPS at the moment."""
    text = text_now(facts)
    return text.startswith(tree.HEADER) and "ssl_certificate" in text and f"\n# {domain} -> Hermes" not in text
