"""The packet that has to get in: the first one of a stranger's connection, and which of them a rule is about."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from fnmatch import fnmatchcase

from hermes_setup.host import Absent, File, Host
from hermes_setup.stages.firewall.rules import Fits
from hermes_setup.values import dataclass

PORTS = (80, 443)  # HTTP and HTTPS


@dataclass(frozen=True)
class Newcomer:
    """The first packet (SYN) of a TCP connection from somewhere on the internet to `port` of this machine.

    `outside`: the interfaces with a default route, () where there is none; `addresses`: this machine's own.
    """

    port: int
    six: bool
    outside: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def arrives_at(names: Sequence[str], packet: Newcomer) -> Fits:
    """A newcomer comes in by one of these interfaces (`*` at the end stands for any rest)."""
    if not packet.outside:
        return Fits.NONE if all(name == "lo" for name in names) else Fits.UNKNOWN
    through = [any(fnmatchcase(each, name) for name in names) for each in packet.outside]
    return Fits.ALL if all(through) else Fits.UNKNOWN if any(through) else Fits.NONE


def sent_to(networks: Sequence[str], packet: Newcomer) -> Fits:
    """A newcomer's destination is one of these addresses or networks."""
    try:
        wanted = [ipaddress.ip_network(each, strict=False) for each in networks]
    except ValueError:
        return Fits.UNKNOWN
    if any(each.prefixlen == 0 for each in wanted):
        return Fits.ALL
    never = (each.is_multicast or each.is_loopback or str(each.network_address) == "255.255.255.255" for each in wanted)
    if wanted and all(never):
        return Fits.NONE
    ours = [ipaddress.ip_address(each) for each in packet.addresses]
    ours = [each for each in ours if (each.version == 6) is packet.six]
    ours = [each for each in ours if each.is_global] or ours  # strangers do not come to a tunnel's address
    inside = [any(each in network for network in wanted) for each in ours]
    if not inside:
        return Fits.UNKNOWN
    return Fits.ALL if all(inside) else Fits.UNKNOWN if any(inside) else Fits.NONE


def comes_from_port(ranges: Sequence[tuple[int, int]]) -> Fits:
    """A newcomer's source port is in one of these; it is any from 1024 up (RFC 6056 section 2.1)."""
    if any(low <= 1024 and high >= 65535 for low, high in ranges):
        return Fits.ALL
    return Fits.NONE if all(high < 1024 for _, high in ranges) else Fits.FEW


def newcomers(host: Host, ports: Sequence[int] = PORTS) -> tuple[Newcomer, ...]:
    """Who must get in: to these ports, by IPv4, and by IPv6 where the kernel has it."""
    six = not isinstance(host.look("/proc/net/if_inet6"), Absent)
    outside = outside_interfaces(
        content(host, "/proc/net/route").decode("ascii", "replace"),
        content(host, "/proc/net/ipv6_route").decode("ascii", "replace"),
    )
    addresses = host.addresses()
    return tuple(
        Newcomer(port, family, outside, addresses) for port in ports for family in ((False, True) if six else (False,))
    )


def outside_interfaces(route: str, ipv6_route: str) -> tuple[str, ...]:
    """The interfaces with a default route (columns: net/ipv4/fib_trie.c and net/ipv6/route.c of Linux)."""
    found: list[str] = []
    for line in route.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000":
            found.append(fields[0])
    for line in ipv6_route.splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo":
            found.append(fields[9])
    return tuple(dict.fromkeys(found))


def content(host: Host, path: str) -> bytes:
    """The bytes of a file, none where there is no file."""
    node = host.look(path)
    return node.content if isinstance(node, File) else b""
