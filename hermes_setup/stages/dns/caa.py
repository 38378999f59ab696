"""CAA: whether the certificate authority may sign for this name (RFC 8659, RFC 8657; Let's Encrypt, docs/caa.md)."""

from __future__ import annotations

from collections.abc import Iterable

from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.phrases import all_of
from hermes_setup.stages.dns.view import View, as_words


def caa(view: View) -> tuple[Finding, ...]:
    """Whether the CA may sign for this name (RFC 8659)."""
    if not view.facts.caa or view.trust != "letsencrypt":
        return ()
    at, said = view.facts.caa[-1]
    if said.status in ("nodata", "nxdomain"):
        return ()
    evidence = "\n".join(f"{name}. CAA: {as_words(records)}" for name, records in view.facts.caa)
    if said.status != "ok":
        how = {"timeout": "no answer in time", "error": "no usable answer"}.get(said.status, said.status.upper())
        return (
            view.finding(
                "dns.caa-servfail",
                view.stops,
                f"Whether Let's Encrypt may sign for {view.label} could not be looked up: CAA of {at}: {how}.",
                "CAA records say which certificate authorities may sign. When they cannot be looked up, Let's Encrypt "
                "must refuse, even if there are none.",
                f"Tell your DNS provider that its name servers must answer questions of type CAA for {at} (an empty "
                "answer is enough). Broken DNSSEC shows like this, too.",
                evidence,
            ),
        )
    refused = refusal(said.values)
    record = f'{at}.  CAA  0 issue "letsencrypt.org"'
    own = f'\nor, only for this name:  {view.name}.  CAA  0 issue "letsencrypt.org"' if at != view.name else ""
    if refused is None:
        if not _accounts(said.values):
            return ()
        return (
            view.finding(
                "dns.caa",
                Severity.NOTE,
                f"The CAA record of {at} lets only one account at Let's Encrypt sign (accounturi).",
                "Whether this server's account is that one shows when the certificate is ordered.",
                f"If the order is refused, add at your DNS provider:  {record}{own}",
                evidence,
            ),
        )
    what, do = {
        "issuer": ("names other certificate authorities", f"Add at your DNS provider:  {record}{own}"),
        "nobody": ("lets no certificate authority sign", f"Replace it at your DNS provider by:  {record}{own}"),
        "method": (
            "lets Let's Encrypt sign, but not by the way used here (http-01)",
            f'Add at your DNS provider:  {at}.  CAA  0 issue "letsencrypt.org; validationmethods=http-01"\nor widen the record that is there.',
        ),
        "critical": (
            "holds a property marked critical which Let's Encrypt does not know",
            f"Delete that record at your DNS provider ({all_of(said.values)}).",
        ),
    }[refused]
    return (
        view.finding(
            "dns.caa",
            view.stops,
            f"Let's Encrypt may not sign for {view.label}: the CAA record of {at} {what}.",
            "CAA records say which certificate authorities may sign for a domain and everything below it; the others "
            "must refuse.",
            f"{do}\nThen wait a few minutes and run this again.",
            evidence,
        ),
    )


def refusal(records: Iterable[str], issuer: str = "letsencrypt.org", method: str = "http-01") -> str | None:
    """Why that CA may not sign for a host name under this CAA set (RFC 8659, RFC 8657); None: it may.

    "critical": an unknown property is marked critical; "nobody": the set forbids everyone; "issuer": it names others;
    "method": it names this CA, for other methods only. issuewild says nothing about host names (section 4.3).
    """
    parsed = [_parse_caa(record) for record in records]
    if any(flags & 128 and tag not in ("issue", "issuewild", "iodef") for flags, tag, _, _ in parsed):
        return "critical"
    issue = [(name, parameters) for _, tag, name, parameters in parsed if tag == "issue"]
    if not issue:
        return None
    ours = [parameters for name, parameters in issue if name == issuer]
    if not ours:
        return "issuer" if any(name for name, _ in issue) else "nobody"
    for parameters in ours:
        methods = parameters.get("validationmethods")
        if methods is None or method in (each.strip() for each in methods.split(",")):
            return None
    return "method"


def _accounts(records: Iterable[str], issuer: str = "letsencrypt.org") -> bool:
    """True when every record that lets this CA sign by http-01 is bound to an account."""
    fits = [
        p
        for r in records
        if refusal((r,)) is None
        for _, tag, name, p in [_parse_caa(r)]
        if tag == "issue" and name == issuer
    ]
    return bool(fits) and all("accounturi" in parameters for parameters in fits)


def _parse_caa(record: str) -> tuple[int, str, str, dict[str, str]]:
    """Flags, tag, issuer and parameters of `0 issue "ca.example; key=value"`; an issuer that does not parse is ""."""
    flags, _, rest = record.partition(" ")
    tag, _, value = rest.partition(" ")
    issuer, *parameters = value.strip().strip('"').split(";")
    pairs = (each.partition("=") for each in parameters)
    return (
        int(flags) if flags.isdigit() else 0,
        tag.lower(),
        issuer.strip().rstrip(".").lower(),
        {key.strip().lower(): text.strip().lower() for key, _, text in pairs if key.strip()},
    )
