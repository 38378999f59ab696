"""One name: its facts held against this server's addresses."""

from __future__ import annotations

import ipaddress

from hermes_setup.answers.allowed_addresses import is_public
from hermes_setup.answers.answers import Answers
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.host import Records
from hermes_setup.stages.dns.facts import DEFINITE, Facts
from hermes_setup.stages.dns.issuer import issuer_kind
from hermes_setup.stages.dns.names import ip_version


class NameCheck:
    """Which addresses are this server's, which of the records count, and how much a fault weighs."""

    def __init__(self, answers: Answers, facts: Facts) -> None:
        self.issuer = issuer_kind(answers)
        self.facts = facts
        self.name = answers.domain.ascii
        self.label = answers.domain.label
        self.given = tuple(answers.public_addresses)
        self.block = Severity.NOTE if self.issuer == "self-signed" else Severity.BLOCK
        self.warn = Severity.NOTE if self.issuer == "self-signed" else Severity.WARN
        # A site that has its certificate keeps serving: what DNS does then must not keep its owner from fixing it.
        self.block_without_certificate = min(self.block, Severity.WARN) if facts.certificate else self.block
        self.families = (facts.a, facts.aaaa)
        private = facts.interfaces if self.issuer != "letsencrypt" else ()
        public = tuple(address for address in facts.interfaces if is_public(address))
        self.ours = tuple(dict.fromkeys(self.given or (*public, *facts.outside, *private)))
        self.outdated_servers, self.addresses = self._compare_servers()

    def _compare_servers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The name servers that still have old records, and the addresses that count.

        Where some servers give only addresses of ours and others do not, the right ones are the newer ones: no one
        sets a record to this server by mistake.
        """
        by_server: dict[str, list[Records]] = {}
        for family in self.families:
            for reply in family.zone:
                by_server.setdefault(reply.server, []).append(reply)
        addresses = {
            server: tuple(value for reply in replies for value in reply.values)
            for server, replies in by_server.items()
            if all(reply.status in DEFINITE for reply in replies)
        }
        right = [server for server, values in addresses.items() if values and all(map(self.is_ours, values))]
        wrong = tuple(server for server in addresses if server not in right)
        if right and wrong:
            return wrong, tuple(dict.fromkeys(value for server in right for value in addresses[server]))
        return (), tuple(value for family in self.families for value in family.actual.values)

    def is_ours(self, address: str) -> bool:
        """True for an address of this server, as far as the certificate's authority is concerned."""
        loopback_counts = self.issuer != "letsencrypt" and not self.given
        return (loopback_counts and ipaddress.ip_address(address).is_loopback) or address in self.ours

    def preferred(self) -> tuple[str, ...]:
        """The addresses to put into records: one a family, if possible one that the internet can reach."""
        usable = sorted(self.ours, key=lambda address: not is_public(address))
        of_version = [[each for each in usable if ip_version(each) == version][:1] for version in (4, 6)]
        return tuple(address for first in of_version for address in first)

    def has(self, version: int) -> bool:
        """True when this server has an address of that family which others can reach."""
        public = (address for address in self.facts.interfaces if is_public(address))
        return any(ip_version(address) == version for address in (*public, *self.preferred()))

    def may_be_nat(self, version: int) -> bool:
        """True when this server may have a public address of that family that could not be found out."""
        if self.given or any(ip_version(address) == version and is_public(address) for address in self.ours):
            return False
        # Address translation is rare for IPv6, and a private IPv6 address common: every VPN gives one.
        private = version == 4 and any(ip_version(address) == 4 for address in self.facts.interfaces)
        return private or not self.facts.interfaces

    def zone_name(self) -> str:
        """The domain as a whole, for messages: the name without its first label, unless that leaves a top-level domain."""
        return ".".join(self.name.split(".")[-2:]) if self.name.count(".") == 1 else self.name.partition(".")[2]

    def finding(self, code: str, severity: Severity, what: str, why: str, do: str, evidence: str = "") -> Finding:  # noqa: PLR0913, PLR0917 - the fields of a Finding
        """A finding; every reply is its evidence, unless there is better."""
        return Finding(code, severity, what, why, do, evidence or self._evidence())

    def _evidence(self) -> str:
        """Who replied what, a line each."""
        lines = []
        for family in self.families if self.facts.asked else ():
            lines += [f"{family.kind} at {reply.server}: {in_words(reply)}" for reply in family.zone]
            lines += [f"{family.kind} at public resolver {reply.server}: {in_words(reply)}" for reply in family.public]
            lines.append(f"{family.kind} at this machine's resolver: {in_words(family.own)}")
        if self.facts.chain:
            lines.append(f"CNAME: {' -> '.join((self.name, *self.facts.chain))}")
        lines.append(f"this server's interfaces: {', '.join(self.facts.interfaces) or 'none'}")
        if self.facts.outside:
            lines.append(f"this server from outside: {', '.join(self.facts.outside)}")
        if self.given:
            lines.append(f"this server by the answers: {', '.join(self.given)}")
        return "\n".join(lines)


def in_words(reply: Records) -> str:
    """What a server replied, on a line of evidence."""
    if reply.status != "ok":
        words = {"nodata": "none", "nxdomain": "no such name", "timeout": "no answer", "error": "not reachable"}
        return words.get(reply.status, reply.status.upper())
    return f"{', '.join(reply.values)} (TTL {reply.ttl} s)"
