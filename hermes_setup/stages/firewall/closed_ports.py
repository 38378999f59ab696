"""What the packet filters of this machine do with ports: each one that is installed is asked, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from hermes_setup.engine.changes import Run
from hermes_setup.host import Absent, File, Host, Ran
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.firewall import (
    firewalld,
    iptables,
    iptables_save,
    nftables,
    nftables_conf,
    nftables_ruleset,
    ufw,
)
from hermes_setup.stages.firewall.packets import PORTS, Packet, file_content, strangers_packets
from hermes_setup.stages.firewall.report import Opening, Report
from hermes_setup.values import dataclass

SECONDS = 4.0
SAVED = {"iptables": "/etc/iptables/rules.v4", "ip6tables": "/etc/iptables/rules.v6"}  # iptables-persistent(8)

_COMMANDS = {
    "iptables": ("iptables-save",),
    "ip6tables": ("ip6tables-save",),
    "nft": ("nft", "--json", "list", "ruleset"),
    "firewalld": ("firewall-cmd", "--state"),
}
_UFW = {"ufw": ("ufw", "status", "verbose"), "ufw-numbered": ("ufw", "status", "numbered")}


@dataclass(frozen=True)
class Facts:
    """What the packet filters of this machine do with some ports."""

    openings: tuple[Opening, ...] = ()  # what opens the closed ones
    unclear: tuple[str, ...] = ()  # rules that decide and are not understood
    unsaved: tuple[str, ...] = ()  # filters whose rules are lost at a restart, as far as is known
    unreadable: tuple[str, ...] = ()  # filters that this process may not read, in their own words
    ufw_drops_ipv6: bool = False


def look(host: Host, ports: Sequence[int] = PORTS) -> Facts:
    """What every filter that is installed does with these ports; all are asked side by side, 8 s at most."""
    commands = dict(_COMMANDS)
    if re.search(rb"^ENABLED=[\"']?yes", file_content(host, "/etc/ufw/ufw.conf"), re.M):
        commands |= _UFW
    ran = dict(zip(commands, in_parallel(lambda argv: host.ask(argv, seconds=SECONDS), commands.values()), strict=True))
    packets = strangers_packets(host, ports)
    ipv6 = not re.search(rb"^IPV6=[\"']?no", file_content(host, "/etc/default/ufw"), re.M)
    active = "ufw" in ran and ufw.parse(ran["ufw"].out).active
    silent = "ufw" in ran and ran["ufw"].code not in (0, 127)  # it seems to be on, so its chains are its own
    reports = [*_by_rules(host, ran, packets, beside_ufw=active or silent, ipv6=ipv6)]
    if silent and ran["ufw"].code != 124 and not _denied(ran["ufw"]):
        reports.append(Report(unclear=(f"ufw status verbose: {_last_line(ran['ufw'].err) or 'no answer'}",)))
    if active:
        reports.append(ufw.report(ran["ufw"].out, ran["ufw-numbered"].out, packets, ipv6=ipv6))
    if ran["firewalld"].out.strip() == "running":
        reports.append(_by_firewalld(host, packets))
    late = [f"{' '.join(commands[name])}: no answer" for name, each in ran.items() if each.code == 124]
    return Facts(
        tuple(opening for each in reports for opening in each.openings if not _assumed_open(host, opening)),
        tuple(dict.fromkeys([*(rule for each in reports for rule in each.unclear), *late])),
        tuple(dict.fromkeys(name for each in reports for name in each.unsaved)),
        tuple(f"{name}: {_last_line(each.err)}" for name, each in ran.items() if _denied(each)),
        active and not ipv6 and any(":" in address for address in host.addresses()),
    )


def closed_ports(host: Host, ports: Sequence[int]) -> frozenset[int]:
    """Those of the ports to which a packet filter of this machine certainly lets no stranger connect, by IPv4 or by IPv6."""
    return frozenset(opening.port for opening in look(host, ports).openings) if ports else frozenset()


def _by_rules(
    host: Host, ran: Mapping[str, Ran], packets: Sequence[Packet], *, beside_ufw: bool, ipv6: bool
) -> Iterator[Report]:
    """What the rules of iptables and nftables do."""
    incompatible = frozenset(
        (family, table)
        for command, family in (("iptables", "ip"), ("ip6tables", "ip6"))
        for table in iptables_save.incompatible_tables(ran[command].out)
    )
    misprinted = incompatible | (
        nftables_ruleset.misprinted_by_iptables_save(ran["nft"].out) if ran["nft"].ok else frozenset()
    )
    for command, path in SAVED.items():
        each, v6 = ran[command], command == "ip6tables"
        if not each.ok or "INPUT_ZONES" in each.out:  # firewalld's, with its old backend
            continue
        if v6 and beside_ufw and not ipv6:
            continue
        native = {table for family, table in misprinted if family == ("ip6" if v6 else "ip")}
        rules = iptables_save.without_tables(each.out, native) if "(nf_tables)" in each.out else each.out
        persistent = not isinstance(host.look("/usr/sbin/netfilter-persistent"), Absent)
        node = host.look(path)
        saved = (path, node) if persistent and isinstance(node, File) else None
        theirs = [packet for packet in packets if packet.ipv6 is v6]
        yield iptables.report(command, rules, saved, theirs, ufw=beside_ufw)
        if "legacy tables present" in each.err:
            legacy = host.ask((f"{command}-legacy-save",), seconds=SECONDS)
            yield iptables.report(f"{command}-legacy", legacy.out, saved, theirs, ufw=beside_ufw)
    if ran["nft"].ok:
        compatible = "(nf_tables)" in ran["iptables"].out + ran["ip6tables"].out
        conf = host.look(nftables_conf.CONF)
        yield nftables.report(ran["nft"].out, conf, packets, iptables=compatible, incompatible=incompatible)


def _by_firewalld(host: Host, packets: Sequence[Packet]) -> Report:
    """What firewalld does, in the zone of the interface with the default route."""

    def ask(*argv: str) -> Ran:
        return host.ask(("firewall-cmd", *argv), seconds=SECONDS)

    default = ask("--get-default-zone").out
    of = ask(f"--get-zone-of-interface={packets[0].interfaces[0]}").out if packets[0].interfaces else ""
    name = firewalld.zone(of, default)
    now, permanent = ask(f"--zone={name}", "--list-all"), ask("--permanent", f"--zone={name}", "--list-all")
    if not (name and now.ok and permanent.ok):
        answer = _last_line(now.err or permanent.err) or "no answer"
        return Report(unclear=(f"firewalld, zone {name or '?'}: {answer}",))
    return firewalld.report(name, now.out, permanent.out, packets)


def _assumed_open(host: Host, opening: Opening) -> bool:
    """True when a dry run has taken the opening as done."""
    return any(isinstance(change, Run) and host.given(change.gives) for change in opening.changes)


def _denied(ran: Ran) -> bool:
    words = ("not permitted", "permission denied", "must be root")
    return ran.code not in (0, 124, 127) and any(word in ran.err.lower() for word in words)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:200]
