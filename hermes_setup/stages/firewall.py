"""Ports 80 and 443 are open in the firewall that is on. None is ever switched on; ssh's rules are never touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hermes_setup.answers import Answers
from hermes_setup.changes import Change, Run
from hermes_setup.findings import Finding, warn
from hermes_setup.host import Host

PORTS = (80, 443)


@dataclass(frozen=True)
class Facts:
    """The ports that ufw closes."""

    closed: tuple[int, ...]


class Firewall:
    """See the module."""

    name = "firewall"
    title = "Firewall"

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002
        """Reads ufw's rules."""
        text = host.ask(["ufw", "status"]).out
        if "Status: active" not in text:
            return Facts(())
        open_ = {line.split()[0] for line in text.splitlines() if " ALLOW " in line}
        return Facts(tuple(p for p in PORTS if not {str(p), f"{p}/tcp"} & open_ and not host.given(f"port {p} open")))

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """With firewall = "leave", closed ports are only told of."""
        if answers.firewall == "open" or not facts.closed:
            return ()
        return [
            warn(
                "firewall.closed",
                f"ufw closes port {' and '.join(map(str, facts.closed))}.",
                "Nobody outside reaches the site, nor can the certificate be checked.",
                " ; ".join(f"sudo ufw allow {port}/tcp" for port in facts.closed),
            )
        ]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """A rule for each closed port."""
        if answers.firewall == "leave":
            return ()
        return [
            Run(
                ("ufw", "allow", f"{port}/tcp"),
                f"open port {port} in ufw",
                gives=f"port {port} open",
                undo_argv=("ufw", "--force", "delete", "allow", f"{port}/tcp"),
                seconds=60,
            )
            for port in facts.closed
        ]
