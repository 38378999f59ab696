"""The records can't be looked up."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.stages.dns.facts import DEFINITE, worst
from hermes_setup.stages.dns.findings.name_check import NameCheck


def not_answered(check: NameCheck) -> tuple[Finding, ...]:
    """No address was found, and at least one family could not be looked up."""
    failed = [family.actual for family in check.families if family.actual.status not in DEFINITE]
    if not failed or check.addresses:
        return ()
    return (_finding(check, worst(failed).status, check.block_without_certificate, "A and AAAA"),)


def one_family_not_answered(check: NameCheck) -> tuple[Finding, ...]:
    """One family's addresses were found, the other's could not be looked up."""
    for family in check.families:
        if family.actual.status not in DEFINITE:
            return (_finding(check, family.actual.status, check.warn, family.kind),)
    return ()


def _finding(check: NameCheck, status: str, severity: Severity, kinds: str) -> Finding:
    """Why there was no answer, by its kind."""
    zone = check.zone_name()
    if status == "servfail":
        return check.finding(
            "dns.servfail",
            severity,
            f"The {kinds} records of {check.label} can't be looked up: the name servers report a failure (SERVFAIL).",
            "Usually the domain's DNSSEC (DS) entry at the registrar doesn't match its zone, or its name servers don't have "
            "the zone. Until that is fixed no one can look up the name, including the certificate authority.",
            f"At your registrar (where you bought the domain), compare the name servers and the DNSSEC (DS) entry of {zone} "
            f"with what your DNS provider shows. Then run this again. Full report: https://dnsviz.net/d/{check.name}/",
        )
    if status == "refused":
        return check.finding(
            "dns.refused",
            severity,
            f"The name servers refuse to answer for the {kinds} records of {check.label} (REFUSED).",
            "They are listed as the name servers of this domain, but they don't have its zone. Usually it was never created at "
            "the DNS provider, or it was deleted there.",
            f"Add the zone {zone} at your DNS provider, or set the right name servers at your registrar (where you bought "
            "the domain). Then run this again.",
        )
    replies = [reply for family in check.families for reply in (*family.zone, *family.public, family.own)]
    if all(reply.status in ("timeout", "error") for reply in replies) and not check.facts.a.zone:
        return check.finding(
            "dns.timeout",
            severity,
            f"No DNS server answered this machine, so {check.label} could not be looked up.",
            "Neither the resolver in /etc/resolv.conf nor public ones could be reached. The problem is this server's "
            "network, not your domain.",
            "Try: getent ahosts letsencrypt.org    If it prints nothing, fix the network or /etc/resolv.conf (your hosting "
            "provider's panel shows its resolvers). Then run this again.",
        )
    return check.finding(
        "dns.timeout",
        severity,
        f"The {kinds} records of {check.label} could not be looked up: no answer in time.",
        "The domain's name servers don't answer, so the certificate authority couldn't look it up either.",
        f"Check that the name servers of {zone} at your registrar (where you bought the domain) are the ones your DNS "
        "provider shows. If they are, try again in a few minutes.",
    )


def dnssec_broken(check: NameCheck) -> tuple[Finding, ...]:
    """The servers answer, and resolvers that check signatures reject that."""
    if not any(family.bogus for family in check.families):
        return ()
    zone = check.zone_name()
    return (
        check.finding(
            "dns.servfail",
            check.block,
            f"Resolvers that check DNSSEC signatures reject the records of {check.label} (SERVFAIL).",
            "The name servers do answer, but the signatures don't match the DS entry at the registrar. The certificate "
            "authority checks them too, so it would refuse.",
            f"At your registrar (where you bought the domain), delete the DNSSEC (DS) entry of {zone}, or replace it with the "
            f"one your DNS provider shows. Then run this again. Full report: https://dnsviz.net/d/{check.name}/",
        ),
    )
