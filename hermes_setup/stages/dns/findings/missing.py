"""There is no record, or only this machine knows it."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding
from hermes_setup.phrases import all_of, uncapitalized
from hermes_setup.stages.dns.findings.corrections import delete_alias_first, records_to_set
from hermes_setup.stages.dns.findings.name_check import NameCheck
from hermes_setup.stages.dns.names import NOT_PUBLIC, is_or_below


def missing(check: NameCheck) -> Finding:
    """The name, or an address behind it, does not exist."""
    only_here = tuple(address for address in check.facts.getent if check.is_ours(address))
    if check.issuer != "letsencrypt" and only_here:
        return check.finding(
            "dns.missing",
            check.warn,
            f"{check.label} has no address in DNS. Only this machine knows it (as {all_of(only_here)}).",
            "It comes from /etc/hosts or from a resolver of your own network. Others must be able to look it up too, "
            "including the certificate authority.",
            "Nothing, if your certificate authority and your browsers know the name. Otherwise "
            f"{uncapitalized(records_to_set(check))}",
        )
    if is_or_below(check.name, NOT_PUBLIC):
        return check.finding(
            "dns.missing",
            check.block,
            f"{check.label} has no address in public DNS, and it can't have one.",
            f"Names that end in .{check.name.rpartition('.')[2]} exist only inside one network or machine. No public "
            "certificate authority signs certificates for them.",
            'Use a name in a domain that you own, or choose the certificate "self-signed".',
        )
    nxdomain = check.facts.a.actual.status == "nxdomain"
    what = f"{check.label} does not exist in DNS." if nxdomain else f"{check.label} has no address in DNS."
    if check.facts.chain:
        what = f"{check.label} is an alias (CNAME) for {check.facts.chain[-1]}, which has no address."
    return check.finding(
        "dns.missing",
        check.block,
        what,
        "Without an A or AAAA record, no one finds this server by that name, and the name can't get a certificate."
        if check.issuer != "self-signed"
        else "Browsers find this server by that name only where it was entered by hand, for example in /etc/hosts.",
        f"{records_to_set(check)}{delete_alias_first(check)}\nThen wait a few minutes and run this again.",
    )
