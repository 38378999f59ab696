"""Findings: the records cannot be looked up."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.stages.dns.facts import DEFINITE, worst
from hermes_setup.stages.dns.findings.name_check import NameCheck


def not_answered(check: NameCheck) -> tuple[Finding, ...]:
    """Neither family, or only an empty one, was answered."""
    failed = [family.actual for family in check.families if family.actual.status not in DEFINITE]
    if not failed or check.addresses:
        return ()
    return (_finding(check, worst(failed).status, check.block_without_certificate, "A and AAAA"),)


def one_family_not_answered(check: NameCheck) -> tuple[Finding, ...]:
    """One family's addresses are there, the other's cannot be looked up."""
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
            f"The {kinds} records of {check.label} cannot be looked up: the name servers report a failure (SERVFAIL).",
            "Mostly the domain's DNSSEC entry at the registrar does not fit its zone, or its name servers do not know "
            "the zone. Nobody can look up the name until that is mended, the certificate authority included.",
            f"At your domain seller, compare the name servers and the DNSSEC (DS) entry of {zone} with what your DNS "
            f"provider shows; then run this again. A full report: https://dnsviz.net/d/{check.name}/",
        )
    if status == "refused":
        return check.finding(
            "dns.refused",
            severity,
            f"The name servers refuse to answer for the {kinds} records of {check.label} (REFUSED).",
            "They are named as the servers of this domain, but they do not have it: mostly the zone was never made at "
            "the DNS provider, or was deleted there.",
            f"Add the zone {zone} at your DNS provider, or set the right name servers at your domain seller; then run "
            "this again.",
        )
    replies = [reply for family in check.families for reply in (*family.zone, *family.public, family.own)]
    if all(reply.status in ("timeout", "error") for reply in replies) and not check.facts.a.zone:
        return check.finding(
            "dns.timeout",
            severity,
            f"No DNS server answered this machine, so {check.label} could not be looked up.",
            "Neither the resolver in /etc/resolv.conf nor public ones could be reached. That is this server's network, "
            "not your domain.",
            "Try: getent ahosts letsencrypt.org    If that prints nothing, mend the network or /etc/resolv.conf "
            "(your provider's panel shows its resolvers), then run this again.",
        )
    return check.finding(
        "dns.timeout",
        severity,
        f"The {kinds} records of {check.label} could not be looked up: no answer in time.",
        "The domain's name servers are silent, and the certificate authority would wait for them in vain as well.",
        f"Look whether the name servers of {zone} at your domain seller are the ones your DNS provider names; if they "
        "are, try again in a few minutes.",
    )


def dnssec_broken(check: NameCheck) -> tuple[Finding, ...]:
    """The servers answer, and resolvers that check signatures do not believe them."""
    if not any(family.bogus for family in check.families):
        return ()
    zone = check.zone_name()
    return (
        check.finding(
            "dns.servfail",
            check.block,
            f"Resolvers that check DNSSEC signatures reject the records of {check.label} (SERVFAIL).",
            "The name servers do answer, but the signatures do not fit the DS entry at the registrar. The certificate "
            "authority checks them too, so it would refuse.",
            f"At your domain seller, remove the DNSSEC (DS) entry of {zone}, or replace it by the one your DNS provider "
            f"shows; then run this again. A full report: https://dnsviz.net/d/{check.name}/",
        ),
    )
