"""What firewalld closes, by `firewall-cmd --list-all` of the default route's zone, and what opens it.

Sources: firewall-cmd(1), firewalld.richlanguage(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hermes_setup.engine.changes import Run
from hermes_setup.stages.firewall.evaluation import Chain, Matches, Rule, evaluate
from hermes_setup.stages.firewall.packets import Packet
from hermes_setup.stages.firewall.report import Opening, Report

SERVICES = {80: "http", 443: "https"}


def zone(running: str, default: str) -> str:
    """The zone of an interface: as `--get-zone-of-interface` says, else the default one."""
    return running.strip() if re.fullmatch(r"[\w-]+", running.strip()) else default.strip()


def report(name: str, now: str, permanent: str, packets: Sequence[Packet]) -> Report:
    """What zone `name` does, now and after its next start."""
    openings: list[Opening] = []
    unclear: list[str] = []
    for packet in packets:
        for text, flags, when in ((now, (), ""), (permanent, ("--permanent",), " (permanent)")):
            verdict = evaluate(_chain(text, packet), {})
            rule = verdict.closed_by.text if verdict.closed_by else ""
            if verdict.unsure or (verdict.closed and rule.startswith("rule")):
                unclear.append(f"firewalld, zone {name}: {verdict.unclear or rule}")
            elif verdict.closed:
                entry = SERVICES.get(packet.port, f"{packet.port}/tcp")
                kind = "service" if packet.port in SERVICES else "port"
                change = Run(
                    ("firewall-cmd", *flags, f"--zone={name}", f"--add-{kind}={entry}"),
                    f"open port {packet.port} in firewalld, zone {name}{when}",
                    gives=f"port {packet.port} open (firewalld{when})",
                    undo_argv=("firewall-cmd", *flags, f"--zone={name}", f"--remove-{kind}={entry}"),
                    seconds=60,
                )
                why = f"zone {name} does not list {entry}{when}"
                openings.append(Opening("firewalld", packet.port, why, (change,)))
    return Report(tuple(openings), tuple(dict.fromkeys(unclear)))


def _field(text: str, key: str) -> list[str]:
    match = re.search(rf"^\s*{key}:[ \t]*(.*)$", text, re.M)
    return match.group(1).split() if match else []


def _chain(text: str, packet: Packet) -> Chain:
    """A zone as rules: rich ones that refuse, rich ones that accept, services and ports, the target."""
    rich = [line.strip() for line in text.splitlines() if line.strip().startswith("rule ")]
    target = "".join(_field(text, "target"))
    rules = [Rule(_rich_rule_matches(line, packet), _rich_rule_action(line), text=line) for line in rich]
    rules.sort(key=lambda rule: rule.action != "drop")  # firewalld's own order, with equal priorities
    rules += [Rule(Matches.ALL, "accept", text=each) for each in _entries_that_open(text, packet)]
    return Chain(tuple(rules), "accept" if target == "ACCEPT" else "drop")


def _entries_that_open(text: str, packet: Packet) -> Iterator[str]:
    """The services, ports and protocols of a zone that accept the packet."""
    if (service := SERVICES.get(packet.port)) in _field(text, "services"):
        yield str(service)
    for each in _field(text, "ports"):
        ports, _, protocol = each.partition("/")
        low, _, high = ports.partition("-")
        if protocol == "tcp" and low.isdigit() and int(low) <= packet.port <= int(high or low):
            yield each
    if "tcp" in _field(text, "protocols"):
        yield "tcp"


def _rich_rule_action(line: str) -> str:
    words = re.sub(r'"[^"]*"', "", line).split()
    if "accept" in words:
        return "accept"
    return "drop" if {"reject", "drop"} & set(words) else "continue"


def _rich_rule_matches(line: str, packet: Packet) -> Matches:
    found = []
    if match := re.search(r'family="(ipv[46])"', line):
        found.append(Matches.ALL if (match.group(1) == "ipv6") is packet.ipv6 else Matches.NONE)
    if match := re.search(r"\bsource( NOT)? (?:address|mac|ipset)=", line):
        found.append(Matches.ALL if match.group(1) else Matches.FEW)
    if "destination " in line:
        found.append(Matches.UNKNOWN)
    if match := re.search(r'\bservice name="([^"]+)"', line):
        found.append(Matches.ALL if match.group(1) == SERVICES.get(packet.port) else Matches.NONE)
    if match := re.search(r'(?<![-\w])port port="(\d+)(?:-(\d+))?" protocol="(\w+)"', line):
        low, high, protocol = match.groups()
        inside = protocol == "tcp" and int(low) <= packet.port <= int(high or low)
        found.append(Matches.ALL if inside else Matches.NONE)
    if match := re.search(r'\bprotocol value="(\w+)"', line):
        found.append(Matches.ALL if match.group(1) == "tcp" else Matches.NONE)
    if re.search(r"\b(icmp-type|icmp-block|masquerade|forward-port|source-port)\b", line):
        found.append(Matches.NONE)
    if " limit " in line:
        found.append(Matches.LIMITED)
    return max(found, default=Matches.ALL)
