"""One name's facts, weighed against this server's addresses; and the words that corrections need."""

from __future__ import annotations

import ipaddress

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import LETSENCRYPT, LETSENCRYPT_STAGING
from hermes_setup.answers.networks import is_public
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.host import Records
from hermes_setup.phrases import all_of, duration
from hermes_setup.stages.dns.facts import DEFINITE, Facts, Trust
from hermes_setup.stages.dns.names import ip_version


class View:
    """The answers and the facts about one name, weighed: which addresses are ours, which count, and how to put it right."""

    def __init__(self, answers: Answers, facts: Facts) -> None:
        self.trust = trust_of(answers)
        self.facts = facts
        self.name = answers.domain.ascii
        self.label = answers.domain.label
        self.told = tuple(answers.public_addresses)
        self.stops = Severity.NOTE if self.trust == "self-signed" else Severity.BLOCK
        self.warns = Severity.NOTE if self.trust == "self-signed" else Severity.WARN
        self.families = (facts.a, facts.aaaa)
        inner = facts.here if self.trust != "letsencrypt" else ()
        outer = tuple(address for address in facts.here if is_public(address))
        self.ours = tuple(dict.fromkeys(self.told or (*outer, *facts.outside, *inner)))
        self.lagging, self.values = self.weighed()

    def weighed(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The name servers that lag behind the right ones, and the addresses that count.

        Where some servers give only addresses of ours and others do not, the right ones are the newer ones: nobody sets
        a record to this server by mistake.
        """
        by_server: dict[str, list[Records]] = {}
        for family in self.families:
            for said in family.zone:
                by_server.setdefault(said.server, []).append(said)
        told = {
            server: tuple(value for said in every for value in said.values)
            for server, every in by_server.items()
            if all(said.status in DEFINITE for said in every)
        }
        right = [server for server, values in told.items() if values and all(map(self.mine, values))]
        wrong = tuple(server for server in told if server not in right)
        if right and wrong:
            return wrong, tuple(dict.fromkeys(value for server in right for value in told[server]))
        return (), tuple(value for family in self.families for value in family.truth.values)

    def finding(self, code: str, severity: Severity, what: str, why: str, do: str, evidence: str = "") -> Finding:  # noqa: PLR0913, PLR0917 - the fields of a Finding
        """A finding with what everybody said as its evidence."""
        return Finding(code, severity, what, why, do, evidence or self.evidence())

    def evidence(self) -> str:
        """Who said what, a line each."""
        lines = []
        for family in self.families if self.facts.asked else ():
            lines += [f"{family.kind} at {said.server}: {as_words(said)}" for said in family.zone]
            lines += [f"{family.kind} at public resolver {said.server}: {as_words(said)}" for said in family.public]
            lines.append(f"{family.kind} at this machine's resolver: {as_words(family.own)}")
        if self.facts.chain:
            lines.append(f"CNAME: {' -> '.join((self.name, *self.facts.chain))}")
        lines.append(f"this server's interfaces: {', '.join(self.facts.here) or 'none'}")
        if self.facts.outside:
            lines.append(f"this server from outside: {', '.join(self.facts.outside)}")
        if self.told:
            lines.append(f"this server by the answers: {', '.join(self.told)}")
        return "\n".join(lines)

    def mine(self, address: str) -> bool:
        """True for an address of this server, as far as the certificate's authority is concerned."""
        loops = self.trust != "letsencrypt" and not self.told and ipaddress.ip_address(address).is_loopback
        return loops or address in self.ours

    def candidates(self) -> tuple[str, ...]:
        """The addresses to put into records: one a family, if possible one that the internet can reach."""
        usable = sorted(self.ours, key=lambda each: not is_public(each))
        return tuple(each for v in (4, 6) for each in [a for a in usable if ip_version(a) == v][:1])

    def has(self, version: int) -> bool:
        """True when this server has an address of that family which others can reach."""
        outer = (each for each in self.facts.here if is_public(each))
        return any(ip_version(each) == version for each in (*outer, *self.candidates()))

    def may_be_nat(self, version: int) -> bool:
        """True when this server may have a public address of that family which nobody could tell."""
        if self.told or any(ip_version(each) == version and is_public(each) for each in self.ours):
            return False
        # Address translation is rare for IPv6, and a private IPv6 address common: every VPN gives one.
        private = version == 4 and any(ip_version(each) == 4 for each in self.facts.here)
        return private or not self.facts.here

    def settings(self) -> str:
        """The records to set, for a name that has none."""
        records = [_record(self.name, each) for each in self.candidates()]
        if not records:
            records = [f"{self.name}.  A  (this server's public address: your provider's panel shows it)"]
        return "Set at your DNS provider:  " + "\nand  ".join(records)

    def corrections(self, wrong: tuple[str, ...]) -> str:
        """For each family in the records: the record to set, or to delete where this server has no such address."""
        parts: list[str] = []
        known = {ip_version(each): each for each in self.candidates() if is_public(each) or self.trust != "letsencrypt"}
        for version in (4, 6):
            bad = tuple(each for each in wrong if ip_version(each) == version)
            if not bad:
                continue
            fits = known.get(version)
            if (
                fits
                and fits not in self.values
                and not any(self.mine(v) and ip_version(v) == version for v in self.values)
            ):
                parts.append(f"Set at your DNS provider:  {_record(self.name, fits)}  (instead of {all_of(bad)})")
                if version == 6:
                    parts[-1] += f", or {deletions(self.name, bad)}"
            elif version == 6 and not fits:
                parts.append(f"At your DNS provider, {deletions(self.name, bad)}, or give the server that address")
            else:
                parts.append(f"At your DNS provider, {deletions(self.name, bad)}")
        others = [each for v, each in known.items() if v not in {ip_version(w) for w in wrong}]
        if others and not any(self.mine(value) for value in self.values):
            parts.insert(0, f"Set at your DNS provider:  {_record(self.name, others[0])}")
        return "\n".join(parts) + self.alias_first()

    def overrule(self) -> str:
        """How to say that the program is wrong."""
        if self.told:
            return ""
        return '\nIf an address in the record does lead to this server, list all of its addresses in the answers file:  public_addresses = ["..."]'

    def zone_name(self) -> str:
        """A name for the domain as a whole, good enough for talk."""
        return ".".join(self.name.split(".")[-2:]) if self.name.count(".") == 1 else self.name.partition(".")[2]

    def alias_first(self) -> str:
        """That the alias has to go, where there is one."""
        if not self.facts.chain:
            return ""
        return f"\nDelete the record  {self.name}.  CNAME  {self.facts.chain[0]}.  first: a name has either a CNAME or addresses."

    def then_wait(self) -> str:
        """What comes after a change of the records."""
        ttl = max((family.truth.ttl for family in self.families if family.truth.values), default=0)
        return (
            f"\nThen run this again; caches keep the old record for up to {duration(ttl)}."
            if ttl
            else "\nThen run this again."
        )


def trust_of(answers: Answers) -> Trust:
    """What kind of authority signs."""
    if answers.issuer.self_signed:
        return "self-signed"
    return "letsencrypt" if answers.issuer.directory in (LETSENCRYPT, LETSENCRYPT_STAGING) else "acme"


def _record(name: str, address: str) -> str:
    return f"{name}.  {'AAAA' if ip_version(address) == 6 else 'A'}  {address}"


def deletions(name: str, addresses: tuple[str, ...]) -> str:
    """Which records to delete, as a sentence goes on with it."""
    kind = "AAAA" if ip_version(addresses[0]) == 6 else "A"
    return f"delete the {kind} record{'s' if len(addresses) > 1 else ''} {all_of(addresses)} of {name}"


def as_words(said: Records) -> str:
    """What a server answered, on a line of evidence."""
    if said.status != "ok":
        return {"nodata": "none", "nxdomain": "no such name", "timeout": "no answer", "error": "not reachable"}.get(
            said.status, said.status.upper()
        )
    return f"{', '.join(said.values)} (TTL {said.ttl} s)"
