"""What the checks say of a list of allowed addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from hermes_setup.answers.allowed_addresses import networks, permits
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.stages.addresses.lists import AllowList, in_a_line
from hermes_setup.stages.addresses.ssh import SshSession

ONLY_THE_PROXY = "List only your proxy's addresses there. Find it: sudo nginx -T | grep -n set_real_ip_from"
WIDEST = {4: 8, 6: 7}
"""The shortest prefixes of networks that are one's own: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193)."""
UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")  # RFC 4193


def session_left_out(allow: Sequence[str], session: SshSession | None, *, allowed: bool) -> list[Finding]:
    """The address of this ssh session is not in the dashboard's list. `allowed`: that is no reason to stop."""
    if session is None or permits(allow, session.address):
        return []
    what = f"{session.address}, where this ssh session comes from, is not among the allowed addresses."
    if not session.sure or allowed:
        return [
            note(
                "addresses.not-this-one",
                what,
                "A browser there gets a page that shows its address, not the dashboard.",
                f'If that isn\'t intended: sudo hermes-setup, "Allowed addresses", or allow = ["{session.network}", ...]',
            )
        ]
    return [
        block(
            "addresses.lockout",
            what,
            "A browser there, most likely yours, would be turned away.",
            f'Add it: allow = ["{session.network}", ...]. To leave it out on purpose: the same command with --allow-lockout',
        )
    ]


def proxies(each: AllowList, trusted_proxies: Sequence[str], behind_balancer: str) -> list[Finding]:
    """What is between the visitor and nginx, and whether nginx sees the visitor's own address."""
    if each.cloudflare:
        return [_cloudflare(each)]
    if everyone := believes_everyone(trusted_proxies):
        return [
            block(
                "addresses.spoofable",
                _anyone_says(everyone),
                "Anyone who sends the right header could pretend to be an allowed "
                f"{'sender of webhooks' if each.of_webhooks else 'address'}.",
                ONLY_THE_PROXY,
            )
        ]
    if trusted_proxies:
        return [
            note(
                "addresses.proxy",
                f"nginx takes the visitor's address from {', '.join(trusted_proxies[:3])} (set_real_ip_from).",
                f"That is set for all sites on this server, and the list for {each.clients} relies on it.",
                "Nothing, if that is your proxy. Otherwise remove it: sudo nginx -T | grep -n set_real_ip_from",
            )
        ]
    if behind_balancer:
        return [
            block(
                "addresses.behind-a-proxy",
                f"Port 443 is behind a load balancer here ({behind_balancer} has proxy_protocol).",
                f"To nginx, all {each.clients} come from the balancer, so the list would let in everyone or no one.",
                "Tell nginx which proxy to trust, in its http block: set_real_ip_from THE-BALANCER; real_ip_header "
                "proxy_protocol; or leave allow out.",
            )
        ]
    return []


def guesses_not_counted(trusted_proxies: Sequence[str]) -> list[Finding]:
    """Without a list: who may choose an address is nobody's guess too many, and has other people banned."""
    everyone = believes_everyone(trusted_proxies)
    if not everyone:
        return []
    return [
        warn(
            "addresses.spoofable",
            _anyone_says(everyone),
            "Wrong passwords are counted by that address: with a new one for each guess there is hardly a limit, and the log "
            "(fail2ban, too) blames somebody else.",
            ONLY_THE_PROXY,
        )
    ]


def believes_everyone(trusted_proxies: Sequence[str]) -> str:
    """The network among those of set_real_ip_from that is (nearly) the whole internet; "" for none."""
    return next((text for text in trusted_proxies if _is_everyone(text)), "")


def _anyone_says(network: str) -> str:
    return f"nginx lets anyone say which address they come from (set_real_ip_from {network})."


def _cloudflare(each: AllowList) -> Finding:
    client = "sender" if each.of_webhooks else "visitor"
    return note(
        "addresses.cloudflare",
        f"{each.name.label} points to Cloudflare's proxy, so nginx takes the {client}'s address from Cloudflare.",
        "It trusts no one else: only connections from the networks that Cloudflare publishes.",
        "Nothing. To be sure, have a test sent: sudo tail /var/log/nginx/hermes-access.log shows the sender's address."
        if each.of_webhooks
        else "Nothing. To be sure, open the page from another network: it shows the address that nginx saw.",
        ", ".join(each.cloudflare),
    )


def everyone_allowed(each: AllowList) -> list[Finding]:
    """The list has all of a family in it."""
    versions = sorted({network.version for network in networks(each.allow) if network.prefixlen == 0})
    if not versions:
        return []
    return [
        note(
            "addresses.everybody",
            f"{each.title} include all of {' and '.join(f'IPv{version}' for version in versions)}.",
            "So only the platforms' own checks protect them there."
            if each.of_webhooks
            else "So only the password protects the dashboard there.",
            "If that isn't intended, remove it from the list.",
        )
    ]


def one_family_only(each: AllowList) -> list[Finding]:
    """The list has only one family, and the name can be reached (or can only be reached) over the other."""
    listed = {network.version for network in networks(each.allow)}
    has_ipv6 = each.ipv6 or each.cloudflare  # Cloudflare's proxy listens on both
    found: list[Finding] = []
    if not has_ipv6 and 4 not in listed:
        found.append(
            note(
                "addresses.one-family",
                f"{each.title} are all IPv6, but {each.name.label} has no IPv6 address (AAAA record).",
                f"So {each.client}s connect over IPv4, and all of them are turned away.",
                "Add the senders' IPv4 networks to [webhooks] allow, or set an AAAA record."
                if each.of_webhooks
                else "Add your IPv4 address (the page that turns you away shows it), or set an AAAA record.",
            )
        )
    if has_ipv6 and 6 not in listed:
        found.append(
            note(
                "addresses.one-family",
                f"{each.title} are all IPv4, but {each.name.label} can also be reached over IPv6.",
                f"A {each.client} with IPv6 uses that first, and is turned away.",
                "Add the senders' IPv6 networks to [webhooks] allow, or delete the AAAA record."
                if each.of_webhooks
                else "Add your IPv6 network (a /64; the page that turns you away shows it), or delete the AAAA record.",
                ", ".join(each.ipv6),
            )
        )
    return found


def single_ipv6(allow: Sequence[str]) -> list[Finding]:
    """A note about single IPv6 addresses in the dashboard's list. Those of a VPN (RFC 4193) do not change."""
    single = [network for network in networks(allow) if network.version == 6 and network.prefixlen == 128]
    addresses = [
        network.network_address
        for network in single
        if not network.is_loopback and network.network_address not in UNIQUE_LOCAL
    ]
    if not addresses:
        return []
    wider = dict.fromkeys(str(ipaddress.ip_network((address, 64), strict=False)) for address in addresses)
    verb = "are single IPv6 addresses" if len(addresses) > 1 else "is a single IPv6 address"
    return [
        note(
            "addresses.single-ipv6",
            f"{in_a_line([str(address) for address in addresses])} {verb}.",
            "Phones and computers change the second half of theirs about once a day, and are then turned away.",
            f"Nothing, if it is a server's. Otherwise allow the network that it is in: {in_a_line(list(wider))}",
        )
    ]


def _is_everyone(text: str) -> bool:
    """True for a network wider than anybody's own, as 0.0.0.0/0 or 0.0.0.0/1; host names and unix: are not."""
    try:
        network = ipaddress.ip_network(text, strict=False)
        return network.prefixlen < WIDEST[network.version]
    except ValueError:
        return False
