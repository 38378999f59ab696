"""The ports that rules of nat send elsewhere, whoever listens on them here: Docker publishes ports like that."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.host import Host
from hermes_setup.stages.firewall.evaluation import Matches
from hermes_setup.stages.firewall.iptables_rules import parse_rule
from hermes_setup.stages.firewall.iptables_save import parse
from hermes_setup.stages.firewall.packets import Packet, strangers_packets


def redirected_ports(host: Host, ports: Sequence[int]) -> tuple[tuple[int, str], ...]:
    """Those of the ports from which every stranger's packet is sent elsewhere, each with the rule that does it. IPv4 only."""
    text = host.ask(("iptables-save", "-t", "nat")).out
    if "DNAT" not in text and "REDIRECT" not in text:
        return ()
    packets = [packet for packet in strangers_packets(host, ports) if not packet.ipv6]
    return tuple((packet.port, rule) for packet in packets for rule in _redirecting(text, packet))


def _redirecting(text: str, packet: Packet) -> list[str]:
    """The rules that send the packet elsewhere."""
    tables = parse(text)
    rules = [
        parse_rule(rule, number, tables, table, packet)
        for (table, chain), lines in tables.rules.items()
        if table == "nat" and chain in ("PREROUTING", "DOCKER")
        for number, rule in lines
    ]
    return [
        each.text
        for each in rules
        if each.matches is Matches.ALL and each.target in ("DNAT", "REDIRECT") and "--dport" in each.text
    ]
