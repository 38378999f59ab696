"""The packet that has to get in, the first one of a stranger's connection; and how many of those a condition of a rule matches."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from fnmatch import fnmatchcase

from hermes_setup.host import Absent, File, Host
from hermes_setup.stages.firewall.evaluation import Matches
from hermes_setup.values import dataclass

PORTS = (80, 443)  # HTTP and HTTPS


@dataclass(frozen=True)
class Packet:
    """The first packet (SYN) of a TCP connection from somewhere on the internet to `port` of this machine.

    `interfaces`: those with a default route, () where there is none; `addresses`: this machine's own.
    """

    port: int
    ipv6: bool
    interfaces: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def strangers_packets(host: Host, ports: Sequence[int] = PORTS) -> tuple[Packet, ...]:
    """One packet for each port by IPv4, and one by IPv6 where the kernel has it."""
    ipv6 = not isinstance(host.look("/proc/net/if_inet6"), Absent)
    interfaces = default_route_interfaces(
        file_content(host, "/proc/net/route").decode("ascii", "replace"),
        file_content(host, "/proc/net/ipv6_route").decode("ascii", "replace"),
    )
    addresses = host.addresses()
    return tuple(
        Packet(port, family, interfaces, addresses)
        for port in ports
        for family in ((False, True) if ipv6 else (False,))
    )


def default_route_interfaces(route: str, ipv6_route: str) -> tuple[str, ...]:
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


def match_interface(names: Sequence[str], packet: Packet) -> Matches:
    """How many packets come in by one of these interfaces (`*` at the end stands for any rest)."""
    if not packet.interfaces:
        return Matches.NONE if all(name == "lo" for name in names) else Matches.UNKNOWN
    named = [any(fnmatchcase(each, name) for name in names) for each in packet.interfaces]
    return Matches.ALL if all(named) else Matches.UNKNOWN if any(named) else Matches.NONE


def match_destination(networks: Sequence[str], packet: Packet) -> Matches:
    """How many packets are sent to one of these addresses or networks."""
    try:
        wanted = [ipaddress.ip_network(each, strict=False) for each in networks]
    except ValueError:
        return Matches.UNKNOWN
    if any(each.prefixlen == 0 for each in wanted):
        return Matches.ALL
    never = (each.is_multicast or each.is_loopback or str(each.network_address) == "255.255.255.255" for each in wanted)
    if wanted and all(never):
        return Matches.NONE
    ours = [ipaddress.ip_address(each) for each in packet.addresses]
    ours = [each for each in ours if (each.version == 6) is packet.ipv6]
    ours = [each for each in ours if each.is_global] or ours  # strangers do not come to a tunnel's address
    inside = [any(each in network for network in wanted) for each in ours]
    if not inside:
        return Matches.UNKNOWN
    return Matches.ALL if all(inside) else Matches.UNKNOWN if any(inside) else Matches.NONE


def match_source_port(ranges: Sequence[tuple[int, int]]) -> Matches:
    """How many packets have their source port in one of these ranges; it can be any from 1024 up (RFC 6056 section 2.1)."""
    if any(low <= 1024 and high >= 65535 for low, high in ranges):
        return Matches.ALL
    return Matches.NONE if all(high < 1024 for _, high in ranges) else Matches.FEW


def file_content(host: Host, path: str) -> bytes:
    """The bytes of a file, none where there is no file."""
    node = host.look(path)
    return node.content if isinstance(node, File) else b""
