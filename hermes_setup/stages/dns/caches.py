"""Findings: name servers that disagree, and a cache that is old."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding
from hermes_setup.host import Records
from hermes_setup.phrases import all_of, duration
from hermes_setup.stages.dns.facts import DEFINITE
from hermes_setup.stages.dns.view import View


def inconsistent(view: View) -> tuple[Finding, ...]:
    """Some of the zone's servers have the right addresses, and others have not."""
    if not view.lagging:
        return ()
    old = {value for f in view.families for said in f.zone if said.server in view.lagging for value in said.values}
    says = all_of(sorted(value for value in old if not view.mine(value))) or "no address"
    return (
        view.finding(
            "dns.inconsistent",
            view.warns,
            f"The name servers of {view.zone_name()} do not agree on {view.label}: {all_of(view.lagging)} still says {says}.",
            "Mostly a change that has not reached all of them yet. Whoever asks the one that lags behind does not find "
            "this server; the certificate authority may be among them.",
            "Wait some minutes and run this again. If it stays so, tell your DNS provider that its name servers differ.",
        ),
    )


def stale(view: View) -> tuple[Finding, ...]:
    """The zone is right, and this machine's own resolver does not know yet."""
    old: list[Records] = []
    for family in view.families:
        zone_knows = any(said.status in DEFINITE for said in family.zone)
        missed = bool(family.truth.values) and family.own.status in ("nodata", "nxdomain")
        # A network may have a view of its own, in which the name is one of our inner addresses: that is not old.
        other = any(not view.mine(value) and value not in view.facts.here for value in family.own.values)
        if zone_knows and (missed or other):
            old.append(family.own)
    if not old:
        return ()
    ttl = max(said.ttl for said in old)
    values = tuple(value for said in old for value in said.values)
    return (
        view.finding(
            "dns.stale-cache",
            view.warns,
            f"This machine's own resolver still has an old answer for {view.label}: {all_of(values) or 'no such name'}.",
            f"The name servers of the domain already have the right one. Caches keep the old one for up to {duration(ttl)} more.",
            "Nothing to do: the certificate authority asks the name servers themselves. Your browser may need as long.",
        ),
    )
