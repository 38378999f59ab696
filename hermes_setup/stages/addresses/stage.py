"""Which addresses the dashboard, and its webhooks, open to. The lists stand in the site; here is what makes them traps.

Three things can: a list leaves out whoever is making it, nginx does not see the visitor's own address, or the visitor comes
over the other family. The webhooks' list is judged by the name under which they are served. nginx compares the address of
the connection, which behind a proxy is the proxy's; Cloudflare's is known, and `real_ip` says when nginx is to take its word
(docs: ngx_http_realip_module, CF-Connecting-IP).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.networks import networks, permits
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding, block, note
from hermes_setup.host import File, Host, Records
from hermes_setup.nginx import tree
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.addresses import ssh
from hermes_setup.stages.addresses.ssh import SshSession
from hermes_setup.stages.dns.cloudflare import proxy_ranges
from hermes_setup.stages.dns.facts import DEFINITE
from hermes_setup.stages.dns.names import NOT_PUBLIC
from hermes_setup.values import dataclass

SECONDS = 2.0  # for one look-up; without an answer all stays as it was
SITE = "/etc/nginx/sites-available/hermes"
NO_RECORDS = (Records("nodata"), Records("nodata"))
LOCAL = ipaddress.ip_network("fc00::/7")


@dataclass(frozen=True)
class Facts:
    """What decides whether the list does what its maker means."""

    session: SshSession | None
    loaded: tuple[str, ...]  # the list of the site that is there now
    proxied: tuple[str, ...]  # the name's addresses that are Cloudflare's
    sixes: tuple[str, ...]  # the name's IPv6 addresses
    trusted: tuple[str, ...]  # whose word about a visitor's address nginx takes in all sites
    balanced: str  # a file whose server is told addresses by a load balancer, "" for none
    hooks_proxied: tuple[str, ...] = ()  # of the name under which the webhooks are served, where they have a list
    hooks_sixes: tuple[str, ...] = ()


NOTHING = Facts(None, (), (), (), (), "")


@dataclass(frozen=True)
class _List:
    """One of the two lists, and what DNS says of the name that it stands for. `hooks`: the webhooks' one."""

    allow: tuple[str, ...]
    name: Domain
    proxied: tuple[str, ...]
    sixes: tuple[str, ...]
    hooks: bool = False

    @property
    def title(self) -> str:
        """The beginning of a sentence about it."""
        return "The addresses that webhooks may come from" if self.hooks else "The allowed addresses"

    @property
    def comer(self) -> str:
        """Who comes, and is turned away."""
        return "sender" if self.hooks else "browser"

    @property
    def visitors(self) -> str:
        """The same, of many."""
        return "senders of webhooks" if self.hooks else "visitors"


class Addresses:
    """See the module. `lockout`: the list may leave out the address that this ssh session comes from."""

    def __init__(self, *, lockout: bool = False) -> None:
        self._lockout = lockout

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads nothing while every address is allowed, to the dashboard and to the webhooks."""
        hooked = _hooked(answers)
        if not answers.allow and not hooked:
            return NOTHING
        config = tree.read(host)
        site = host.look(SITE)
        balanced = (
            server.path
            for server in config.servers
            for listen in server.listens
            if not server.ours and listen.port == 443 and "proxy_protocol" in listen.options
        )
        said = _look_up([name for name in (answers.domain if answers.allow else None, hooked) if name], host)
        own = said[answers.domain] if answers.allow else NO_RECORDS
        hooks = said[hooked] if hooked else NO_RECORDS
        return Facts(
            session=ssh.find(host) if answers.allow else None,
            loaded=listed(site.content.decode("utf-8", "surrogateescape") if isinstance(site, File) else ""),
            proxied=_proxied(own) or (),
            sixes=own[1].values,
            trusted=config.real_ip,
            balanced=next(balanced, ""),
            hooks_proxied=_proxied(hooks) or (),
            hooks_sixes=hooks[1].values,
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """The lists shut nobody out by accident, and let nobody in by a lie."""
        lists = _lists(answers, facts)
        found: list[Finding] = _session(answers, facts, lockout=self._lockout) if answers.allow else []
        for number, each in enumerate(lists):
            # What holds for all of nginx, or for a name that two lists share, is said once.
            if all(each.name != other.name for other in lists[:number]):
                said = {(one.code, one.what) for one in found}
                found += [one for one in _seen_through(each, facts) if (one.code, one.what) not in said]
        found += [one for each in lists for one in _wide(each)]
        return [*found, *_single(answers.allow)]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002 - a stage's shape
        """Nothing: the list is part of the site."""
        return ()


def _hooked(answers: Answers) -> Domain | None:
    """The name under which the webhooks are served; None where there is no list of their senders."""
    hooks = answers.webhooks
    return (hooks.host or answers.domain) if hooks and hooks.allow else None


def _lists(answers: Answers, facts: Facts) -> list[_List]:
    found = [_List(answers.allow, answers.domain, facts.proxied, facts.sixes)] if answers.allow else []
    hooked = _hooked(answers)
    if answers.webhooks and hooked:
        found.append(_List(answers.webhooks.allow, hooked, facts.hooks_proxied, facts.hooks_sixes, hooks=True))
    return found


def _session(answers: Answers, facts: Facts, *, lockout: bool) -> list[Finding]:
    here = facts.session
    if here is None or permits(answers.allow, here.address):
        return []
    what = f"{here.address}, where this ssh session comes from, is not among the allowed addresses."
    if not here.sure or lockout or facts.loaded == answers.allow:
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


def _seen_through(each: _List, facts: Facts) -> list[Finding]:
    if each.proxied:
        return [
            note(
                "addresses.cloudflare",
                f"{each.name.label} points to Cloudflare's proxy, so nginx takes the {'sender' if each.hooks else 'visitor'}'s "
                "address from Cloudflare.",
                "It believes nobody else: only connections from the ranges that Cloudflare publishes.",
                "Nothing. To be sure, have a test sent: sudo tail /var/log/nginx/hermes-access.log names the sender's address."
                if each.hooks
                else "Nothing. To be sure, open the page from elsewhere: it names the address that was seen.",
                ", ".join(each.proxied),
            )
        ]
    wide = [text for text in facts.trusted if _everybody(text)]
    if wide:
        return [
            block(
                "addresses.spoofable",
                f"nginx takes everybody's word about where they come from (set_real_ip_from {wide[0]}).",
                f"Whoever sends the right header could pretend to be an allowed {'sender of webhooks' if each.hooks else 'address'}.",
                "Name only your proxy's addresses there. Find it: sudo nginx -T | grep -n set_real_ip_from",
            )
        ]
    if facts.trusted:
        return [
            note(
                "addresses.proxy",
                f"nginx takes the visitor's address from {', '.join(facts.trusted[:3])} (set_real_ip_from).",
                f"That is how it was set here for all sites, and the list of {each.visitors} goes by it.",
                "Nothing, if that is your proxy. Else take it out: sudo nginx -T | grep -n set_real_ip_from",
            )
        ]
    if facts.balanced:
        return [
            block(
                "addresses.behind-a-proxy",
                f"A load balancer stands before port 443 here ({facts.balanced} has proxy_protocol).",
                f"For nginx all {each.visitors} come from the balancer, so the list would let in everybody or nobody.",
                "Say whose word counts, in nginx's http block: set_real_ip_from THE-BALANCER; real_ip_header "
                "proxy_protocol; or leave allow out.",
            )
        ]
    return []


def _wide(each: _List) -> list[Finding]:
    open_to = {net.version for net in networks(each.allow) if net.prefixlen == 0}
    listed_for = {net.version for net in networks(each.allow)}
    found: list[Finding] = []
    if open_to:
        everybody = " and ".join(f"IPv{version}" for version in sorted(open_to))
        found.append(
            note(
                "addresses.everybody",
                f"{each.title} hold all of {everybody}.",
                "So only what the platforms themselves check guards them there."
                if each.hooks
                else "So only the password guards the dashboard there.",
                "If that is not meant, take it out of the list.",
            )
        )
    both = each.sixes or each.proxied
    if not both and 4 not in listed_for:
        found.append(
            note(
                "addresses.one-family",
                f"{each.title} are all IPv6, and {each.name.label} has no IPv6 address (AAAA record).",
                f"So {each.comer}s come over IPv4, and all of them are turned away.",
                "Add the senders' IPv4 networks to [webhooks] allow, or set an AAAA record."
                if each.hooks
                else "Add your IPv4 address (the page that turns you away names it), or set an AAAA record.",
            )
        )
    if both and 6 not in listed_for:
        found.append(
            note(
                "addresses.one-family",
                f"{each.title} are all IPv4, and {each.name.label} can be reached over IPv6, too.",
                f"A {each.comer} that has IPv6 comes with that address first, and is turned away.",
                "Add the senders' IPv6 networks to [webhooks] allow, or delete the AAAA record."
                if each.hooks
                else "Add your IPv6 network (a /64, as the page that turns you away names it), or delete the AAAA record.",
                ", ".join(each.sixes),
            )
        )
    return found


def _single(allow: Sequence[str]) -> list[Finding]:
    """A note about IPv6 addresses that stand alone in the dashboard's list. Those of a VPN (RFC 4193) stay as they are."""
    alone = [net for net in networks(allow) if net.version == 6 and net.prefixlen == 128]
    outer = [net.network_address for net in alone if not net.is_loopback and net.network_address not in LOCAL]
    if not outer:
        return []
    wider = dict.fromkeys(str(ipaddress.ip_network((each, 64), strict=False)) for each in outer)
    several = len(outer) > 1
    return [
        note(
            "addresses.single-ipv6",
            f"{told([str(each) for each in outer])} {'are single IPv6 addresses' if several else 'is a single IPv6 address'}.",
            "Phones and computers change the second half of theirs each day or so, and are turned away from then on.",
            f"Nothing, if it is a server's. Else allow the network that it is in: {told(list(wider))}",
        )
    ]


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


def _look_up(names: Sequence[Domain], host: Host) -> dict[Domain, tuple[Records, Records]]:
    """The A and AAAA records of each name, asked for side by side."""
    asked = [(name, kind) for name in dict.fromkeys(names) for kind in ("A", "AAAA")]
    said = in_parallel(lambda one: _ask(one[0].ascii, host, one[1]), asked)
    return {name: (said[at], said[at + 1]) for at, (name, kind) in enumerate(asked) if kind == "A"}


def _proxied(told: Sequence[Records]) -> tuple[str, ...] | None:
    """The addresses that are Cloudflare's; None when there may be some and DNS did not answer."""
    every = (value for said in told for value in said.values)
    found = tuple(value for value in every if any(ipaddress.ip_address(value) in net for net in proxy_ranges()))
    return found if found or all(said.status in DEFINITE for said in told) else None


def _ask(name: str, host: Host, kind: str) -> Records:
    if any(name.endswith(f".{ending}") for ending in NOT_PUBLIC):
        return Records("nodata")  # nobody is asked for what is nobody's business
    return host.dns(name, kind, seconds=SECONDS)


def real_ip(answers: Answers, host: Host, site: str) -> tuple[str, ...]:
    """Whose word about a visitor's address the dashboard's server takes: Cloudflare's ranges while its name points there.

    While DNS does not answer it is as it was: a list that forgets its proxy for a moment shuts everybody out.
    """
    listed = answers.allow or _hooked(answers) == answers.domain
    return _believed(answers.domain, host, site) if listed else ()


def hooks_real_ip(answers: Answers, host: Host, site: str) -> tuple[str, ...]:
    """The same for the server of the webhooks' own name; () where they have none, or no list."""
    hooked = _hooked(answers)
    return _believed(hooked, host, site) if hooked and hooked != answers.domain else ()


def _believed(name: Domain, host: Host, site: str) -> tuple[str, ...]:
    seen = _proxied(_look_up([name], host)[name])
    servers = (text for text in re.split(r"^server \{", site, flags=re.M) if f'($host != "{name}")' in text)
    through = any("set_real_ip_from" in text for text in servers) if seen is None else bool(seen)
    return tuple(map(str, proxy_ranges())) if through else ()
