"""A change that is not everywhere yet: name servers that disagree, and a resolver's cache that is old."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding
from hermes_setup.host import Records
from hermes_setup.phrases import all_of, duration
from hermes_setup.stages.dns.facts import DEFINITE
from hermes_setup.stages.dns.findings.name_check import NameCheck


def servers_disagree(check: NameCheck) -> tuple[Finding, ...]:
    """Some of the zone's servers have the right addresses, and others do not."""
    if not check.outdated_servers:
        return ()
    old = [reply for family in check.families for reply in family.zone if reply.server in check.outdated_servers]
    others = {value for reply in old for value in reply.values if not check.is_ours(value)}
    verb = "says" if len(check.outdated_servers) == 1 else "say"
    says = f"{all_of(check.outdated_servers)} still {verb} {all_of(sorted(others)) or 'no address'}"
    return (
        check.finding(
            "dns.inconsistent",
            check.warn,
            f"The name servers of {check.zone_name()} don't agree on {check.label}: {says}.",
            "Usually a change that hasn't reached all of them yet. Anyone who asks an outdated one doesn't find this server, "
            "and that may include the certificate authority.",
            "Wait a few minutes and run this again. If it stays that way, tell your DNS provider that its name servers differ.",
        ),
    )


def outdated_cache(check: NameCheck) -> tuple[Finding, ...]:
    """The zone is right, and this machine's own resolver still has the old answer."""
    old: list[Records] = []
    for family in check.families:
        zone_knows = any(reply.status in DEFINITE for reply in family.zone)
        missed = bool(family.actual.values) and family.own.status in ("nodata", "nxdomain")
        # A network may have a view of its own, in which the name is one of our private addresses: that is not old.
        other = any(not check.is_ours(value) and value not in check.facts.interfaces for value in family.own.values)
        if zone_knows and (missed or other):
            old.append(family.own)
    if not old:
        return ()
    ttl = max(reply.ttl for reply in old)
    values = tuple(value for reply in old for value in reply.values)
    return (
        check.finding(
            "dns.stale-cache",
            check.warn,
            f"This machine's own resolver still has an old answer for {check.label}: {all_of(values) or 'no such name'}.",
            f"The domain's name servers already have the right one. Caches keep the old one for up to {duration(ttl)} more.",
            "Nothing: the certificate authority asks the name servers directly. Your browser may have to wait as long.",
        ),
    )
