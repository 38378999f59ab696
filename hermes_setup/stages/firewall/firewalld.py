"""firewalld, by `firewall-cmd --list-all` of the zone in which the outside interface is (firewall-cmd(1), firewalld.richlanguage(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hermes_setup.engine.changes import Run
from hermes_setup.stages.firewall.openings import Door, Reading
from hermes_setup.stages.firewall.packets import Newcomer
from hermes_setup.stages.firewall.rules import Chain, Fits, Step, judge

SERVICES = {80: "http", 443: "https"}


def zone(running: str, default: str) -> str:
    """The zone of an interface: as `--get-zone-of-interface` says, else the default one."""
    return running.strip() if re.fullmatch(r"[\w-]+", running.strip()) else default.strip()


def read(name: str, now: str, permanent: str, packets: Sequence[Newcomer]) -> Reading:
    """What zone `name` shuts, now and after its next start."""
    doors: list[Door] = []
    doubts: list[str] = []
    for packet in packets:
        for text, flags, when in ((now, (), ""), (permanent, ("--permanent",), " (permanent)")):
            verdict = judge(_chain(text, packet), {})
            rich = verdict.shuts is not None and verdict.shuts.text.startswith("rule")
            if verdict.unsure or (verdict.shut and rich):
                doubts.append(f"firewalld, zone {name}: {verdict.doubt or (verdict.shuts and verdict.shuts.text)}")
            elif verdict.shut:
                service = SERVICES[packet.port]
                opens = Run(
                    ("firewall-cmd", *flags, f"--zone={name}", f"--add-service={service}"),
                    f"open port {packet.port} in firewalld, zone {name}{when}",
                    gives=f"port {packet.port} open (firewalld{when})",
                    undo_argv=("firewall-cmd", *flags, f"--zone={name}", f"--remove-service={service}"),
                    seconds=60,
                )
                doors.append(Door("firewalld", packet.port, f"zone {name} does not list {service}{when}", (opens,)))
    return Reading(tuple(doors), tuple(dict.fromkeys(doubts)))


def _field(text: str, key: str) -> list[str]:
    match = re.search(rf"^\s*{key}:[ \t]*(.*)$", text, re.M)
    return match.group(1).split() if match else []


def _chain(text: str, packet: Newcomer) -> Chain:
    """A zone as rules: rich ones that refuse, those that let in, services and ports, the target."""
    rich = [line.strip() for line in text.splitlines() if line.strip().startswith("rule ")]
    target = "".join(_field(text, "target"))
    steps = [Step(_rich(line, packet), _does(line), text=line) for line in rich]
    steps.sort(key=lambda step: step.does != "drop")  # firewalld's own order, with equal priorities
    steps += [Step(Fits.ALL, "accept", text=each) for each in _open(text, packet)]
    return Chain(tuple(steps), "accept" if target == "ACCEPT" else "drop")


def _open(text: str, packet: Newcomer) -> Iterator[str]:
    if SERVICES[packet.port] in _field(text, "services"):
        yield SERVICES[packet.port]
    for each in _field(text, "ports"):
        ports, _, protocol = each.partition("/")
        low, _, high = ports.partition("-")
        if protocol == "tcp" and low.isdigit() and int(low) <= packet.port <= int(high or low):
            yield each
    if "tcp" in _field(text, "protocols"):
        yield "tcp"


def _does(line: str) -> str:
    words = re.sub(r'"[^"]*"', "", line).split()
    if "accept" in words:
        return "accept"
    return "drop" if {"reject", "drop"} & set(words) else "on"


def _rich(line: str, packet: Newcomer) -> Fits:
    found = []
    if match := re.search(r'family="(ipv[46])"', line):
        found.append(Fits.ALL if (match.group(1) == "ipv6") is packet.six else Fits.NONE)
    if match := re.search(r"\bsource( NOT)? (?:address|mac|ipset)=", line):
        found.append(Fits.ALL if match.group(1) else Fits.FEW)
    if "destination " in line:
        found.append(Fits.UNKNOWN)
    if match := re.search(r'\bservice name="([^"]+)"', line):
        found.append(Fits.ALL if match.group(1) == SERVICES[packet.port] else Fits.NONE)
    if match := re.search(r'(?<![-\w])port port="(\d+)(?:-(\d+))?" protocol="(\w+)"', line):
        low, high, protocol = match.groups()
        inside = protocol == "tcp" and int(low) <= packet.port <= int(high or low)
        found.append(Fits.ALL if inside else Fits.NONE)
    if match := re.search(r'\bprotocol value="(\w+)"', line):
        found.append(Fits.ALL if match.group(1) == "tcp" else Fits.NONE)
    if re.search(r"\b(icmp-type|icmp-block|masquerade|forward-port|source-port)\b", line):
        found.append(Fits.NONE)
    if " limit " in line:
        found.append(Fits.OFTEN)
    return max(found, default=Fits.ALL)
