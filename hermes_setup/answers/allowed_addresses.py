"""Networks and addresses: which ones may open the dashboard, and which ones the whole internet can reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from hermes_setup.errors import WrongInput

AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache
def _private() -> tuple[AnyNetwork, ...]:
    """Networks whose addresses mean something only within them. (ipaddress.is_private also counts those kept for examples.)"""
    four = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16"
    return tuple(ipaddress.ip_network(net) for net in f"{four} ::/127 fc00::/7 fe80::/10".split())


def is_public(address: str) -> bool:
    """True for an address that can be reached from the whole internet."""
    return not any(ipaddress.ip_address(address) in net for net in _private())


def parse_network(text: str) -> str:
    """A network (203.0.113.0/24) or one address (203.0.113.5, without its /32), in its short form. Raises WrongInput.

    An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) becomes IPv4: nginx compares it so (ngx_http_geo_module.c).
    """
    word = text.strip()
    hint = "Type an address like 203.0.113.5, or a network like 203.0.113.0/24 or 2001:db8::/32."
    alone, slash, length = word.partition("/")
    try:
        address = ipaddress.ip_address(alone)
    except ValueError:
        raise WrongInput(f"{word or 'Nothing'} is not an address or a network.", hint=hint) from None
    if "%" in alone:
        raise WrongInput(f"{word} names a network interface; type the address alone.", hint=hint)
    if slash and not (length.isascii() and length.isdecimal() and int(length) <= address.max_prefixlen):
        raise WrongInput(f"{word}: after the / comes a number from 0 to {address.max_prefixlen}.", hint=hint)
    bits = int(length) if slash else address.max_prefixlen
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None and bits >= 96:
        address, bits = mapped, bits - 96
    network = ipaddress.ip_network((address, bits), strict=False)
    if address != network.network_address:
        raise WrongInput(
            f"{word} is not the first address of a network.",
            hint=f"For the whole network write {network}; for the one address write {address}.",
            instead=str(network),
        )
    if bits == network.max_prefixlen and (address.is_unspecified or address.is_multicast):
        raise WrongInput(f"{address} is not an address anyone can have.", hint=hint)
    return str(address) if bits == network.max_prefixlen else str(network)


def parse_allow(texts: Sequence[str]) -> tuple[str, ...]:
    """The networks in the order given. Raises WrongInput for what is not a network, and for one named twice."""
    found: list[str] = []
    for text in texts:
        network = parse_network(text)
        if network in found:
            raise WrongInput(f"{network} is listed twice in the allowed addresses.", hint="Keep one of the two.")
        found.append(network)
    return tuple(found)


def permits(allow: Sequence[str], address: str) -> bool:
    """True when that address may open the dashboard: it is in one of the networks, or there is no list at all."""
    one = ipaddress.ip_network(parse_network(address))
    return not allow or any(one.version == net.version and one.subnet_of(net) for net in networks(allow))  # type: ignore[arg-type]  # same version


def networks(allow: Sequence[str]) -> tuple[AnyNetwork, ...]:
    """The same networks, to compute with."""
    return tuple(ipaddress.ip_network(text) for text in allow)
