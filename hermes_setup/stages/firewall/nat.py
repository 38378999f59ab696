"""The ports that rules of nat send elsewhere, whoever listens on them here: Docker publishes ports like that."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.host import Host
from hermes_setup.stages.firewall.iptables_rules import step_of
from hermes_setup.stages.firewall.iptables_save import parse
from hermes_setup.stages.firewall.packets import Newcomer, newcomers
from hermes_setup.stages.firewall.rules import Fits


def redirected_ports(host: Host, ports: Sequence[int]) -> tuple[tuple[int, str], ...]:
    """Those of the ports from which every stranger's packet is sent elsewhere, each with the rule that does it. IPv4 only."""
    text = host.ask(("iptables-save", "-t", "nat")).out
    if "DNAT" not in text and "REDIRECT" not in text:
        return ()
    packets = [packet for packet in newcomers(host, ports) if not packet.six]
    return tuple((packet.port, rule) for packet in packets for rule in _redirecting(text, packet))


def _redirecting(text: str, packet: Newcomer) -> list[str]:
    """The rules that send the packet elsewhere."""
    tables = parse(text)
    found = []
    for (table, chain), rules in tables.rules.items():
        if table == "nat" and chain in ("PREROUTING", "DOCKER"):
            steps = [(step_of(rule, number, tables, table, packet), rule) for number, rule in rules]
            found += [
                rule
                for step, rule in steps
                if step.fits is Fits.ALL and step.target in ("DNAT", "REDIRECT") and "--dport" in rule
            ]
    return found
