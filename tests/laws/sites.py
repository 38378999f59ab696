"""The golden sites, and who knows which secret on them."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CLOUDFLARE = ("173.245.48.0/20", "2400:cb00::/32")
"""Of the ranges that Cloudflare publishes those from which requests come here."""


def _token(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()[:32]


OWN = _token("the program")
"""The program's own cookie and bypass token."""
GONE = _token("mallory")
"""A cookie from before somebody was signed out."""
WEBHOOK = r"/webhooks/[A-Za-z0-9_-][A-Za-z0-9_.-]*"


@dataclass(frozen=True)
class Person:
    """Who can sign in. `token` "": was added to the users' file by hand, and has no cookie yet."""

    name: str
    password: str
    token: str


PEOPLE = tuple(
    Person(name, password, _token(name))
    for name, password in [
        ("alice", "correct horse battery"),
        ("Alice", "another horse, another battery"),
        ("bob", "pässwörd: with a colon"),
        ("q\"u'o\\te", 'quote " and \\ slash'),
        ("a;b{c}$d#e", "$uri ${uri} #"),
        ("x" * 64, "y" * 70),
        ("日本語", "パスワード"),
        ("a b", "a b"),
        ("~^x", "~^x"),
    ]
) + (Person("ALICE", "capital horse battery", ""), Person("off", "the realm's name", ""))


@dataclass(frozen=True)
class Hook:
    """Where a platform sends to: the path as it must stand on the wire, the methods, and the port behind."""

    path: str
    methods: tuple[str, ...]
    port: int


GITHUB = Hook(WEBHOOK, ("POST",), 8644)
TWILIO = Hook("/webhooks/twilio", ("POST",), 8080)
LINE = (
    Hook("/line/webhook", ("POST",), 8647),
    Hook(r"/line/media/[A-Za-z0-9_-]+/[A-Za-z0-9_%][A-Za-z0-9_.%-]*", ("GET", "HEAD"), 8647),
)
WHATSAPP = Hook("/whatsapp/webhook", ("GET", "HEAD", "POST"), 8090)


@dataclass(frozen=True)
class Site:
    """What a golden site is to do. `hooks` are on the names `hooks_on`, the more particular first."""

    name: str
    tls: bool = True
    http2: bool = True
    domain: str = "hermes.example.com"
    backend: tuple[str, int] = ("127.0.0.1", 9119)
    forwarded_for: bool = True
    trusted: bool = True
    allow: tuple[str, ...] = ()
    here: bool = False
    cloudflare: tuple[str, ...] = ()
    """The networks that are believed when they say who the visitor is."""
    hooks: tuple[Hook, ...] = ()
    hooks_on: tuple[str, ...] = ()
    hooks_allow: tuple[str, ...] = ()
    earlier: dict[str, bool] = field(default_factory=dict)
    """Earlier names, and whether they have a certificate."""

    @property
    def debian(self) -> str:
        """The Debian whose nginx it is for."""
        return "debian13" if "1.26" in self.name else "debian12"

    @property
    def text(self) -> str:
        """The golden file."""
        return (GOLDEN / f"{self.name}.conf").read_text("utf-8")

    @property
    def origin(self) -> str:
        """What its own pages send as their Origin."""
        return f"https://{self.domain}"

    @property
    def names(self) -> tuple[str, ...]:
        """Those it serves over https."""
        return tuple(dict.fromkeys((self.domain, *self.hooks_on, *(name for name, has in self.earlier.items() if has))))

    @property
    def authority(self) -> str:
        """The backend as a Host header names it."""
        host, port = self.backend
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def upstreams(self) -> dict[int, str]:
        """Each port behind, and the address at which that listens."""
        return {**{hook.port: "127.0.0.1" for hook in self.hooks}, self.backend[1]: self.backend[0]}


_OWN_NAME = ("hooks.example.com",)
SITES = (
    Site("http-1.18-no-ipv6", tls=False),
    Site("http-1.26", tls=False),
    Site("https-1.18-allow-from-here-too", allow=("0.0.0.0/0", "::/0")),
    Site("https-1.18-alone"),
    Site("https-1.22-allow-behind-cloudflare", allow=("203.0.113.5/32",), here=True, cloudflare=CLOUDFLARE),
    Site("https-1.22-long-name", domain="ec2-198-51-100-10.eu-central-1.compute.example.com"),
    Site("https-1.22-neighbour-without-http2", http2=False),
    Site(
        "https-1.22-webhooks-own-name-and-earlier-names",
        hooks=(GITHUB,),
        hooks_on=_OWN_NAME,
        hooks_allow=("192.30.252.0/22", "2a0a:a440::/29"),
        earlier={"old.example.com": True, "older.example.com": False},
    ),
    Site("https-1.26-allow", allow=("203.0.113.0/24", "2001:db8::/32"), here=True),
    Site("https-1.26-long-origin", domain="vps-12345678.customers.provider.example"),
    Site("https-1.26-neighbour-by-address"),
    Site("https-1.26-self-signed-other-backend", backend=("::1", 9120), forwarded_for=False, trusted=False),
    Site("https-1.26-webhooks-moving-to-another-name", hooks=(GITHUB,), hooks_on=("calls.example.com",)),
    Site(
        "https-1.26-webhooks-on-the-earlier-name-too",
        hooks=(GITHUB,),
        hooks_on=("hermes.example.com", "old.example.com"),
        hooks_allow=("192.30.252.0/22",),
        cloudflare=CLOUDFLARE[:1],
        earlier={"old.example.com": True},
    ),
    Site("https-1.26-webhooks-waiting-for-their-name"),
    Site(
        "https-1.26-webhooks",
        hooks=(TWILIO, *LINE, WHATSAPP, GITHUB),
        hooks_on=("hermes.example.com",),
    ),
    Site("https-1.26"),
)


def within(address: str, networks: tuple[str, ...]) -> bool:
    """The address is in one of the networks."""
    one = ipaddress.ip_address(address)
    return any(one in ipaddress.ip_network(network) for network in networks)


def hook_at(site: Site, path: str) -> Hook | None:
    """The hook whose path that is, as it stands on the wire."""
    return next((hook for hook in site.hooks if re.fullmatch(hook.path, path)), None)
