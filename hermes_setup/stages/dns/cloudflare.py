"""The networks of Cloudflare's proxy, from the list that is part of the program."""

from __future__ import annotations

import functools
import ipaddress
import os

AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@functools.cache
def networks() -> tuple[AnyNetwork, ...]:
    """All of them, IPv4 first."""
    with open(os.path.join(os.path.dirname(__file__), "cloudflare.txt"), encoding="ascii") as file:
        lines = file.read().splitlines()
    return tuple(ipaddress.ip_network(line.strip()) for line in lines if line.strip() and not line.startswith("#"))


def is_cloudflare(address: str) -> bool:
    """True for an address of Cloudflare's proxy."""
    return any(ipaddress.ip_address(address) in network for network in networks())
