"""Which addresses the dashboard opens to. The list itself stands in the site; here is what would make it a trap.

Three things can: it leaves out whoever is making it, nginx does not see the visitor's own address, or the visitor comes
over the other family. nginx compares the address of the connection, which behind a proxy is the proxy's; Cloudflare's
is known, and `realip` says when nginx is to take its word (docs: ngx_http_realip_module, CF-Connecting-IP).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hermes_setup import nginx, session
from hermes_setup.answers import Answers, networks, permits
from hermes_setup.changes import Change
from hermes_setup.findings import Finding, block, note
from hermes_setup.host import File, Host, Records
from hermes_setup.session import Session
from hermes_setup.stages.dns import DEFINITE, NOT_PUBLIC, cloudflare

SECONDS = 2.0  # for one look-up; without an answer all stays as it was
SITE = "/etc/nginx/sites-available/hermes"


@dataclass(frozen=True)
class Facts:
    """What decides whether the list does what its maker means."""

    session: Session | None
    loaded: tuple[str, ...]  # the list of the site that is there now
    proxied: tuple[str, ...]  # the name's addresses that are Cloudflare's
    sixes: tuple[str, ...]  # the name's IPv6 addresses
    trusted: tuple[str, ...]  # whose word about a visitor's address nginx takes in all sites
    balanced: str  # a file whose server is told addresses by a load balancer, "" for none


NOTHING = Facts(None, (), (), (), (), "")


class Addresses:
    """See the module."""

    name = "addresses"
    title = "Allowed addresses"

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads nothing while every address is allowed."""
        if not answers.allow:
            return NOTHING
        config = nginx.read(host)
        site = host.look(SITE)
        balanced = (
            server.path
            for server in config.servers
            for listen in server.listens
            if not server.ours and listen.port == 443 and "proxy_protocol" in listen.options
        )
        return Facts(
            session=session.find(host),
            loaded=listed(site.content.decode("utf-8", "surrogateescape") if isinstance(site, File) else ""),
            proxied=proxied(answers, host) or (),
            sixes=_ask(answers, host, "AAAA").values,
            trusted=config.real_ip,
            balanced=next(balanced, ""),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """The list shuts nobody out by accident, and lets nobody in by a lie."""
        if not answers.allow:
            return ()
        return [
            *_session(answers, facts),
            *_seen_through(answers, facts),
            *_wide(answers, facts),
        ]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002 - a stage's shape
        """Nothing: the list is part of the site."""
        return ()


def _session(answers: Answers, facts: Facts) -> list[Finding]:
    here = facts.session
    if here is None or permits(answers.allow, here.address):
        return []
    what = f"{here.address}, where this ssh session comes from, is not among the allowed addresses."
    if not here.sure or answers.lockout or facts.loaded == answers.allow:
        return [
            note(
                "addresses.not-this-one",
                what,
                "A browser there gets a page that names its address, and no dashboard.",
                f'If that is not meant: sudo hermes-setup, "Allowed addresses", or allow = ["{here.network}", ...]',
            )
        ]
    return [
        block(
            "addresses.lockout",
            what,
            "A browser there would be turned away, and that is most likely yours.",
            f'Add it: allow = ["{here.network}", ...]. Leave it out on purpose: the same command with --allow-lockout',
        )
    ]


def _seen_through(answers: Answers, facts: Facts) -> list[Finding]:
    name = answers.domain.label
    if facts.proxied:
        return [
            note(
                "addresses.cloudflare",
                f"{name} points to Cloudflare's proxy, so nginx takes the visitor's address from Cloudflare.",
                "It believes nobody else: only connections from the ranges that Cloudflare publishes.",
                "Nothing. To be sure, open the page from elsewhere: it names the address that was seen.",
                ", ".join(facts.proxied),
            )
        ]
    wide = [text for text in facts.trusted if _everybody(text)]
    if wide:
        return [
            block(
                "addresses.spoofable",
                f"nginx takes everybody's word about where they come from (set_real_ip_from {wide[0]}).",
                "Whoever sends the right header could pretend to be an allowed address.",
                "Name only your proxy's addresses there. Find it: sudo nginx -T | grep -n set_real_ip_from",
            )
        ]
    if facts.trusted:
        return [
            note(
                "addresses.proxy",
                f"nginx takes the visitor's address from {', '.join(facts.trusted[:3])} (set_real_ip_from).",
                "That is how it was set here for all sites, and the list goes by it.",
                "Nothing, if that is your proxy. Else take it out: sudo nginx -T | grep -n set_real_ip_from",
            )
        ]
    if facts.balanced:
        return [
            block(
                "addresses.behind-a-proxy",
                f"A load balancer stands before port 443 here ({facts.balanced} has proxy_protocol).",
                "For nginx all visitors come from the balancer, so the list would let in everybody or nobody.",
                "Say whose word counts, in nginx's http block: set_real_ip_from THE-BALANCER; real_ip_header "
                "proxy_protocol; or leave allow out.",
            )
        ]
    return []


def _wide(answers: Answers, facts: Facts) -> list[Finding]:
    open_to = {net.version for net in networks(answers.allow) if net.prefixlen == 0}
    listed_for = {net.version for net in networks(answers.allow)}
    found: list[Finding] = []
    if open_to:
        everybody = " and ".join(f"IPv{version}" for version in sorted(open_to))
        found.append(
            note(
                "addresses.everybody",
                f"The allowed addresses hold all of {everybody}.",
                "So only the password guards the dashboard there.",
                "If that is not meant, take it out of the list.",
            )
        )
    both = facts.sixes or facts.proxied
    if not both and 4 not in listed_for:
        found.append(
            note(
                "addresses.one-family",
                f"The allowed addresses are all IPv6, and {answers.domain.label} has no IPv6 address (AAAA record).",
                "So browsers come over IPv4, and all of them are turned away.",
                "Add your IPv4 address (the page that turns you away names it), or set an AAAA record.",
            )
        )
    if both and 6 not in listed_for:
        found.append(
            note(
                "addresses.one-family",
                f"The allowed addresses are all IPv4, and {answers.domain.label} can be reached over IPv6, too.",
                "A browser that has IPv6 comes with that address first, and is turned away.",
                "Add your IPv6 network (a /64, as the page that turns you away names it), or delete the AAAA record.",
                ", ".join(facts.sixes),
            )
        )
    return found


def _everybody(text: str) -> bool:
    """True for a network of all addresses; host names and unix: are somebody's."""
    try:
        return ipaddress.ip_network(text, strict=False).prefixlen == 0
    except ValueError:
        return False


def told(allow: Sequence[str]) -> str:
    """The list in a line: the first of it, and how many more."""
    return ", ".join(allow) if len(allow) < 5 else f"{', '.join(allow[:3])} and {len(allow) - 3} more"


def listed(site: str) -> tuple[str, ...]:
    """The allowed addresses in a site's text that we wrote, () when it opens to all."""
    text = re.search(r"^geo \$hermes_from \{\n(.*?)^\}", site, re.M | re.S)
    return tuple(re.findall(r"^ +(\S+) allowed;", text.group(1), re.M)) if text else ()


def proxied(answers: Answers, host: Host) -> tuple[str, ...] | None:
    """The name's addresses that are Cloudflare's; None when there may be some and DNS did not answer."""
    told = [_ask(answers, host, kind) for kind in ("A", "AAAA")]
    every = (value for said in told for value in said.values)
    found = tuple(value for value in every if any(ipaddress.ip_address(value) in net for net in cloudflare()))
    return found if found or all(said.status in DEFINITE for said in told) else None


def _ask(answers: Answers, host: Host, kind: str) -> Records:
    name = answers.domain.ascii
    if any(name.endswith(f".{ending}") for ending in NOT_PUBLIC):
        return Records("nodata")  # nobody is asked for what is nobody's business
    return host.dns(name, kind, seconds=SECONDS)


def real_ip(answers: Answers, host: Host, site: str) -> tuple[str, ...]:
    """Whose word about a visitor's address the site is to take: Cloudflare's ranges while the name points there.

    While DNS does not answer it is as it was: a list that forgets its proxy for a moment shuts everybody out.
    """
    if not answers.allow and not (answers.webhooks and answers.webhooks.allow):
        return ()
    seen = proxied(answers, host)
    through = "set_real_ip_from" in site if seen is None else bool(seen)
    return tuple(map(str, cloudflare())) if through else ()
