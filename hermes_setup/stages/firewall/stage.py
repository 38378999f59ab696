"""Ports 80 and 443 are open in every packet filter that is on. None is ever switched on; ssh's rules are never touched.

ufw and firewalld are asked in their own words, iptables' and nftables' rules are followed as the kernel would. A
provider's firewall in front of the machine cannot be seen from here: the look from outside finds it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.engine.findings import Finding, note, warn
from hermes_setup.host import Absent, File, Host, Ran
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.firewall import firewalld, iptables, nftables, ufw
from hermes_setup.stages.firewall.rules import Door, Newcomer, Reading
from hermes_setup.values import dataclass

PORTS = (80, 443)
SECONDS = 4.0
SAVED = {"iptables": "/etc/iptables/rules.v4", "ip6tables": "/etc/iptables/rules.v6"}  # iptables-persistent(8)

_ASKED = {
    "iptables": ("iptables-save",),
    "ip6tables": ("ip6tables-save",),
    "nft": ("nft", "--json", "list", "ruleset"),
    "firewalld": ("firewall-cmd", "--state"),
}
_UFW = {"ufw": ("ufw", "status", "verbose"), "ufw-numbered": ("ufw", "status", "numbered")}


@dataclass(frozen=True)
class Facts:
    """What the packet filters of this machine do with the two ports."""

    doors: tuple[Door, ...] = ()  # shut
    doubts: tuple[str, ...] = ()  # rules that decide and are not understood
    fleeting: tuple[str, ...] = ()  # filters whose rules no file brings back
    unseen: tuple[str, ...] = ()  # filters that may not be looked at, in their own words
    ufw_drops_ipv6: bool = False


class Firewall:
    """See the module."""

    def __init__(self, ports: Sequence[int] = PORTS) -> None:
        self._ports = ports

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002 - the same for every answer
        """Asks every filter that is installed, side by side; 8 s at most."""
        questions = dict(_ASKED)
        if re.search(rb"^ENABLED=[\"']?yes", _content(host, "/etc/ufw/ufw.conf"), re.M):
            questions |= _UFW
        answered = in_parallel(lambda argv: host.ask(argv, seconds=SECONDS), questions.values())
        told = dict(zip(questions, answered, strict=True))
        packets = newcomers(host, self._ports)
        ipv6 = not re.search(rb"^IPV6=[\"']?no", _content(host, "/etc/default/ufw"), re.M)
        guarded = "ufw" in told and ufw.parse(told["ufw"].out).active
        silent = "ufw" in told and told["ufw"].code not in (0, 127)  # switched on, as it seems: its chains are its own
        readings = [*_ruled(host, told, packets, guarded=guarded or silent, ipv6=ipv6)]
        if silent and told["ufw"].code != 124 and not _denied(told["ufw"]):
            readings.append(Reading(doubts=(f"ufw status verbose: {_last(told['ufw'].err) or 'no answer'}",)))
        if guarded:
            readings.append(ufw.read(told["ufw"].out, told["ufw-numbered"].out, packets, ipv6=ipv6))
        if told["firewalld"].out.strip() == "running":
            readings.append(_firewalld(host, packets))
        doors = [door for each in readings for door in each.doors if not _done(host, door)]
        late = [f"{' '.join(questions[name])} gives no answer" for name, ran in told.items() if ran.code == 124]
        return Facts(
            tuple(doors),
            tuple(dict.fromkeys([*(doubt for each in readings for doubt in each.doubts), *late])),
            tuple(dict.fromkeys(name for each in readings for name in each.fleeting)),
            tuple(f"{name}: {_last(ran.err)}" for name, ran in told.items() if _denied(ran)),
            guarded and not ipv6 and any(":" in address for address in host.addresses()),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """What the plan does not mend, or may not (firewall = "leave")."""
        found: list[Finding] = []
        if answers.firewall == "leave" and facts.doors:
            ports = sorted({door.port for door in facts.doors})
            found.append(
                warn(
                    "firewall.closed",
                    f"The firewall of this server shuts port {' and '.join(map(str, ports))}.",
                    "Nobody outside reaches the site, nor can Let's Encrypt. The answers say that it is left alone.",
                    "; ".join(_shown(change) for change in _changes(facts)),
                    "\n".join(f"{door.where}: port {door.port}: {door.why}" for door in facts.doors),
                )
            )
        if facts.doubts:
            found.append(
                warn(
                    "firewall.unsure",
                    "This server's firewall has rules that are not understood here, and they decide about port 80 or 443.",
                    "Nothing is guessed and nothing is changed about them. Visitors may not get through.",
                    "Look whether TCP 80 and 443 are open to everybody: sudo nft list ruleset; sudo iptables-save",
                    "\n".join(facts.doubts),
                )
            )
        if facts.fleeting and answers.firewall != "leave":
            found.append(
                note(
                    "firewall.not-kept",
                    f"No file is known that brings back the rules of {', '.join(facts.fleeting)} after a restart.",
                    "Whatever loads them at boot knows nothing of the ports opened for this site.",
                    'Add "accept TCP 80 and 443" where those rules come from. Or run hermes-setup again after a restart.',
                )
            )
        if facts.ufw_drops_ipv6:
            found.append(
                warn(
                    "firewall.no-ipv6",
                    "ufw throws away everything that comes by IPv6 (IPV6=no in /etc/default/ufw).",
                    "This server has an IPv6 address; whoever is told of it by DNS finds nobody there.",
                    "Give the domain no AAAA record. Or write IPV6=yes into /etc/default/ufw, then: sudo ufw reload",
                )
            )
        if facts.unseen:
            found.append(
                note(
                    "firewall.unseen",
                    "Whether this machine has a firewall cannot be seen from here.",
                    "In a container the rules belong to the machine around it.",
                    "If the site is not reached from outside, open TCP 80 and 443 there.",
                    "\n".join(facts.unseen),
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """What opens each shut door, the running rules first."""
        return () if answers.firewall == "leave" else _changes(facts)


def newcomers(host: Host, ports: Sequence[int] = PORTS) -> tuple[Newcomer, ...]:
    """Who must get in: to these ports, by IPv4, and by IPv6 where the kernel has it."""
    six = not isinstance(host.look("/proc/net/if_inet6"), Absent)
    outside = outside_interfaces(
        _content(host, "/proc/net/route").decode("ascii", "replace"),
        _content(host, "/proc/net/ipv6_route").decode("ascii", "replace"),
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


def _ruled(
    host: Host, told: dict[str, Ran], packets: Sequence[Newcomer], *, guarded: bool, ipv6: bool
) -> list[Reading]:
    """What the rules of iptables and nftables do."""
    readings: list[Reading] = []
    refused = frozenset(
        (family, table)
        for command, family in (("iptables", "ip"), ("ip6tables", "ip6"))
        for table in iptables.refused(told[command].out)
    )
    strangers = refused | (nftables.strangers(told["nft"].out) if told["nft"].ok else frozenset())
    for command, path in SAVED.items():
        ran = told[command]
        family = [packet for packet in packets if packet.six is (command == "ip6tables")]
        if not ran.ok or "INPUT_ZONES" in ran.out:  # firewalld's, with its old backend
            continue
        if command == "ip6tables" and guarded and not ipv6:
            continue
        native = [table for of, table in strangers if of == ("ip6" if command == "ip6tables" else "ip")]
        shown = iptables.without(ran.out, native) if "(nf_tables)" in ran.out else ran.out
        persistent = not isinstance(host.look("/usr/sbin/netfilter-persistent"), Absent)
        node = host.look(path)
        kept = (path, node) if persistent and isinstance(node, File) else None
        readings.append(iptables.read(command, shown, kept, family, ufw=guarded))
        if "legacy tables present" in ran.err:
            older = host.ask((f"{command}-legacy-save",), seconds=SECONDS)
            readings.append(iptables.read(f"{command}-legacy", older.out, kept, family, ufw=guarded))
    if told["nft"].ok:
        compatible = "(nf_tables)" in told["iptables"].out + told["ip6tables"].out
        conf = host.look(nftables.CONF)
        readings.append(nftables.read(told["nft"].out, conf, packets, iptables=compatible, refused=refused))
    return readings


def _firewalld(host: Host, packets: Sequence[Newcomer]) -> Reading:
    def ask(*argv: str) -> Ran:
        return host.ask(("firewall-cmd", *argv), seconds=SECONDS)

    default = ask("--get-default-zone").out
    of = ask(f"--get-zone-of-interface={packets[0].outside[0]}").out if packets[0].outside else ""
    name = firewalld.zone(of, default)
    now, permanent = ask(f"--zone={name}", "--list-all"), ask("--permanent", f"--zone={name}", "--list-all")
    if not (name and now.ok and permanent.ok):
        return Reading(doubts=(f"firewalld, zone {name or '?'}: {_last(now.err or permanent.err) or 'no answer'}",))
    return firewalld.read(name, now.out, permanent.out, packets)


def _changes(facts: Facts) -> tuple[Change, ...]:
    """Each once: a rule of ufw opens both families. The running rules first, then files, then what checks the files."""
    changes = {_key(change): change for door in facts.doors for change in door.opens}
    return tuple(sorted(changes.values(), key=_turn))


def _turn(change: Change) -> int:
    return 1 if isinstance(change, Place) else 0 if isinstance(change, Run) and change.gives else 2


def _key(change: Change) -> object:
    return change.argv if isinstance(change, Run) else change


def _shown(change: Change) -> str:
    if isinstance(change, Run):
        argv = [word if re.fullmatch(r"[\w./=:-]+", word) else f"'{word}'" for word in change.argv]
        return f"sudo {' '.join(argv)}"
    return change.why


def _done(host: Host, door: Door) -> bool:
    """True when what opens it was taken as done (a dry run)."""
    return any(isinstance(change, Run) and host.given(change.gives) for change in door.opens)


def _denied(ran: Ran) -> bool:
    words = ("not permitted", "permission denied", "must be root")
    return ran.code not in (0, 124, 127) and any(word in ran.err.lower() for word in words)


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:200]


def _content(host: Host, path: str) -> bytes:
    node = host.look(path)
    return node.content if isinstance(node, File) else b""
