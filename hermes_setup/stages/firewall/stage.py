"""Ports 80 and 443 are open in every packet filter that is on. None is ever switched on, and no rule for ssh is changed.

ufw and firewalld are asked for their status, the rules of iptables and nftables are evaluated as the kernel does it. A
provider's firewall in front of the machine can't be seen from here: the look from outside finds it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.engine.findings import Finding, note, warn
from hermes_setup.host import Host
from hermes_setup.phrases import ports_named
from hermes_setup.stages.firewall.closed_ports import Facts, look


class Firewall:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002 - the same for every answer
        """Asks every filter that is installed, side by side; 8 s at most."""
        return look(host)

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """What the plan can't open, or may not (firewall = "leave")."""
        found: list[Finding] = []
        if answers.firewall == "leave" and facts.openings:
            found.append(
                warn(
                    "firewall.closed",
                    f"This server's firewall blocks {ports_named(each.port for each in facts.openings)}.",
                    'Neither visitors nor Let\'s Encrypt can reach the site. It stays so, since the answers say firewall = "leave".',
                    "; ".join(_shown(change) for change in _changes(facts)),
                    "\n".join(f"{each.where}: port {each.port}: {each.why}" for each in facts.openings),
                )
            )
        if facts.unclear:
            found.append(
                warn(
                    "firewall.unsure",
                    "hermes-setup doesn't understand some of this server's firewall rules, and they decide about port 80 or 443.",
                    "It doesn't guess and doesn't change them. They may block visitors.",
                    "Check that TCP 80 and 443 are open to everyone: sudo nft list ruleset; sudo iptables-save",
                    "\n".join(facts.unclear),
                )
            )
        if facts.unsaved and answers.firewall != "leave":
            found.append(
                note(
                    "firewall.not-kept",
                    f"hermes-setup found no file that loads the rules of {', '.join(facts.unsaved)} after a restart.",
                    "Whatever loads them at boot doesn't open the ports for this site.",
                    "Accept TCP 80 and 443 where those rules come from. Or run hermes-setup again after each restart.",
                )
            )
        if facts.ufw_drops_ipv6:
            found.append(
                warn(
                    "firewall.no-ipv6",
                    "ufw drops all IPv6 traffic (IPV6=no in /etc/default/ufw).",
                    "This server has an IPv6 address. Visitors who get it from DNS can't connect.",
                    "Don't give the domain an AAAA record. Or set IPV6=yes in /etc/default/ufw, then: sudo ufw reload",
                )
            )
        if facts.unreadable:
            found.append(
                note(
                    "firewall.unseen",
                    "hermes-setup can't see whether this server has a firewall.",
                    "In a container, the rules belong to the host around it.",
                    "If the site can't be reached from outside, open TCP 80 and 443 on the host.",
                    "\n".join(facts.unreadable),
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """What opens each closed port, the running rules first."""
        return () if answers.firewall == "leave" else _changes(facts)


def _changes(facts: Facts) -> tuple[Change, ...]:
    """Each change once: a rule of ufw opens both families. The running rules first, then files, then the checks of files."""
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
