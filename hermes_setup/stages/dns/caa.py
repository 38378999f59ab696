"""CAA records: whether an authority may sign for a name (RFC 8659, RFC 8657; Let's Encrypt, docs/caa.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from hermes_setup.values import dataclass

Refusal = Literal["critical", "nobody", "issuer", "method"]


@dataclass(frozen=True)
class _Property:
    flags: int
    tag: str
    issuer: str
    parameters: dict[str, str]


def refusal(records: Iterable[str], issuer: str = "letsencrypt.org", method: str = "http-01") -> Refusal | None:
    """Why that CA may not sign for a host name under this CAA set; None: it may.

    "critical": an unknown property is marked critical; "nobody": the set forbids everyone; "issuer": it names others;
    "method": it names this CA, for other methods only. issuewild says nothing about host names (RFC 8659 section 4.3).
    """
    properties = [_parse(record) for record in records]
    if any(each.flags & 128 and each.tag not in ("issue", "issuewild", "iodef") for each in properties):
        return "critical"
    issue = [each for each in properties if each.tag == "issue"]
    if not issue:
        return None
    of_this_ca = [each.parameters for each in issue if each.issuer == issuer]
    if not of_this_ca:
        return "issuer" if any(each.issuer for each in issue) else "nobody"
    for parameters in of_this_ca:
        methods = parameters.get("validationmethods")
        if methods is None or method in (each.strip() for each in methods.split(",")):
            return None
    return "method"


def bound_to_accounts(records: Sequence[str], issuer: str = "letsencrypt.org") -> bool:
    """True when every record that lets this CA sign by http-01 is bound to an account (RFC 8657, accounturi)."""
    permitting = [
        each
        for record in records
        if refusal((record,)) is None and (each := _parse(record)).tag == "issue" and each.issuer == issuer
    ]
    return bool(permitting) and all("accounturi" in each.parameters for each in permitting)


def _parse(record: str) -> _Property:
    """The parts of `0 issue "ca.example; key=value"`; an issuer that does not parse is ""."""
    flags, _, rest = record.partition(" ")
    tag, _, value = rest.partition(" ")
    issuer, *parameters = value.strip().strip('"').split(";")
    pairs = (each.partition("=") for each in parameters)
    return _Property(
        int(flags) if flags.isdigit() else 0,
        tag.lower(),
        issuer.strip().rstrip(".").lower(),
        {key.strip().lower(): text.strip().lower() for key, _, text in pairs if key.strip()},
    )
