"""CAA records that keep Let's Encrypt from signing."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.phrases import all_of
from hermes_setup.stages.dns import caa
from hermes_setup.stages.dns.findings.name_check import NameCheck, in_words


def not_permitted(check: NameCheck) -> tuple[Finding, ...]:
    """Let's Encrypt may not sign for this name, or not for every account, or that could not be looked up."""
    if not check.facts.caa or check.issuer != "letsencrypt":
        return ()
    at, reply = check.facts.caa[-1]
    if reply.status in ("nodata", "nxdomain"):
        return ()
    evidence = "\n".join(f"{name}. CAA: {in_words(records)}" for name, records in check.facts.caa)
    if reply.status != "ok":
        how = {"timeout": "no answer in time", "error": "no usable answer"}.get(reply.status, reply.status.upper())
        return (
            check.finding(
                "dns.caa-servfail",
                check.block,
                f"The CAA records of {at} could not be looked up ({how}), so Let's Encrypt won't sign for {check.label}.",
                "CAA records say which certificate authorities may sign. If they can't be looked up, Let's Encrypt must "
                "refuse, even if there are none.",
                f"Tell your DNS provider that its name servers must answer CAA queries for {at} (an empty answer is enough). "
                "Broken DNSSEC can look like this, too.",
                evidence,
            ),
        )
    refusal = caa.refusal(reply.values)
    record = f'{at}.  CAA  0 issue "letsencrypt.org"'
    own = f'\nor, only for this name:  {check.name}.  CAA  0 issue "letsencrypt.org"' if at != check.name else ""
    if refusal is None:
        if not caa.bound_to_accounts(reply.values):
            return ()
        return (
            check.finding(
                "dns.caa",
                Severity.NOTE,
                f"The CAA record of {at} lets only one Let's Encrypt account sign (accounturi).",
                "Whether that is this server's account shows when the certificate is ordered.",
                f"If the order is refused, add at your DNS provider:  {record}{own}",
                evidence,
            ),
        )
    what, do = {
        "issuer": ("names other certificate authorities", f"Add at your DNS provider:  {record}{own}"),
        "nobody": ("lets no certificate authority sign", f"Replace it at your DNS provider with:  {record}{own}"),
        "method": (
            "lets Let's Encrypt sign, but not by the method used here (http-01)",
            f'Add at your DNS provider:  {at}.  CAA  0 issue "letsencrypt.org; validationmethods=http-01"\nor add http-01 to the record that is there.',
        ),
        "critical": (
            "has a property marked critical that Let's Encrypt doesn't know",
            f"Delete that record at your DNS provider ({all_of(reply.values)}).",
        ),
    }[refusal]
    return (
        check.finding(
            "dns.caa",
            check.block,
            f"Let's Encrypt may not sign for {check.label}: the CAA record of {at} {what}.",
            "CAA records say which certificate authorities may sign for a domain and everything below it. All others "
            "must refuse.",
            f"{do}\nThen wait a few minutes and run this again.",
            evidence,
        ),
    )
