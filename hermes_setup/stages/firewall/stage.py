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
from hermes_setup.host import Host
from hermes_setup.stages.firewall.facts import Facts, look


class Firewall:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002 - the same for every answer
        """Asks every filter that is installed, side by side; 8 s at most."""
        return look(host)

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """What the plan does not mend, or may not (firewall = "leave")."""
        found: list[Finding] = []
        if answers.firewall == "leave" and facts.openings:
            ports = sorted({opening.port for opening in facts.openings})
            found.append(
                warn(
                    "firewall.closed",
                    f"The firewall of this server shuts port {' and '.join(map(str, ports))}.",
                    "Nobody outside reaches the site, nor can Let's Encrypt. The answers say that it is left alone.",
                    "; ".join(_shown(change) for change in _changes(facts)),
                    "\n".join(f"{each.where}: port {each.port}: {each.why}" for each in facts.openings),
                )
            )
        if facts.unclear:
            found.append(
                warn(
                    "firewall.unsure",
                    "This server's firewall has rules that are not understood here, and they decide about port 80 or 443.",
                    "Nothing is guessed and nothing is changed about them. Visitors may not get through.",
                    "Look whether TCP 80 and 443 are open to everybody: sudo nft list ruleset; sudo iptables-save",
                    "\n".join(facts.unclear),
                )
            )
        if facts.unsaved and answers.firewall != "leave":
            found.append(
                note(
                    "firewall.not-kept",
                    f"No file is known that brings back the rules of {', '.join(facts.unsaved)} after a restart.",
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
        if facts.unreadable:
            found.append(
                note(
                    "firewall.unseen",
                    "Whether this machine has a firewall cannot be seen from here.",
                    "In a container the rules belong to the machine around it.",
                    "If the site is not reached from outside, open TCP 80 and 443 there.",
                    "\n".join(facts.unreadable),
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """What opens each closed port, the running rules first."""
        return () if answers.firewall == "leave" else _changes(facts)


def _changes(facts: Facts) -> tuple[Change, ...]:
    """Each once: a rule of ufw opens both families. The running rules first, then files, then what checks the files."""
    changes = {_key(change): change for opening in facts.openings for change in opening.changes}
    return tuple(sorted(changes.values(), key=_order))


def _order(change: Change) -> int:
    return 1 if isinstance(change, Place) else 0 if isinstance(change, Run) and change.gives else 2


def _key(change: Change) -> object:
    return change.argv if isinstance(change, Run) else change


def _shown(change: Change) -> str:
    if isinstance(change, Run):
        argv = [word if re.fullmatch(r"[\w./=:-]+", word) else f"'{word}'" for word in change.argv]
        return f"sudo {' '.join(argv)}"
    return change.why
