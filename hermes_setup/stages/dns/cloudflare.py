"""Cloudflare's networks."""

from __future__ import annotations

import functools
import ipaddress
import os

AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@functools.cache
def proxy_ranges() -> tuple[AnyNetwork, ...]:
    """The ranges of Cloudflare's proxy, from the list that travels with the program."""
    with open(os.path.join(os.path.dirname(__file__), "cloudflare.txt"), encoding="ascii") as file:
        lines = file.read().splitlines()
    return tuple(ipaddress.ip_network(line.strip()) for line in lines if line.strip() and not line.startswith("#"))


def is_cloudflares(address: str) -> bool:
    """True for an address of Cloudflare's proxy."""
    return any(ipaddress.ip_address(address) in net for net in proxy_ranges())
