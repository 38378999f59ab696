"""The addresses of this machine's network interfaces."""

from __future__ import annotations

from hermes_setup.answers.allowed_addresses import is_public
from hermes_setup.host import Host
from hermes_setup.stages.dns.names import short_form


def own_addresses(host: Host) -> tuple[str, ...]:
    """All of them, in their short form."""
    return tuple(short_form(address) or address for address in host.addresses())


def public_address(host: Host) -> str:
    """One that the internet can reach, IPv4 if possible; "" behind NAT."""
    return next((address for address in host.addresses() if is_public(address)), "")
