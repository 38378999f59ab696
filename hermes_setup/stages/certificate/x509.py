"""Certificates, as openssl shows them (openssl-x509(1))."""

from __future__ import annotations

import re
from datetime import datetime

from hermes_setup.answers.domain import Domain
from hermes_setup.host import File, Host
from hermes_setup.nginx import tree
from hermes_setup.values import dataclass, field


@dataclass(frozen=True)
class X509:
    """A certificate, as `openssl x509` shows it. Times are UTC."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str  # sha256 of the DER, lower case, without colons
    serial: str
    issuer: str
    public_key: str = field(repr=False)

    def covers(self, domain: Domain) -> bool:
        """True when browsers accept it for that name (RFC 6125 section 6.4.3: a star is one label)."""
        star = f"*.{domain.ascii.partition('.')[2]}"
        return domain.ascii in self.names or star in self.names

    def share_left(self, now: datetime) -> float:
        """The share of its lifetime that is left: 1 when new, 0 or less when expired."""
        return (self.not_after - now) / (self.not_after - self.not_before)


def parse(text: str) -> X509 | None:
    """What `read` had openssl print; None for anything that is not a complete certificate."""
    found = dict(re.findall(r"^(notBefore|notAfter|serial|issuer|\w+ Fingerprint)\s*=\s*(.*)$", text, re.M | re.I))
    lower = {key.lower(): value for key, value in found.items()}
    key = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", text, re.S)
    names = re.findall(r"DNS:([^,\s]+)", text.partition("Subject Alternative Name:")[2])
    try:
        return X509(
            names=tuple(name.lower() for name in names),
            not_before=_time(lower["notbefore"]),
            not_after=_time(lower["notafter"]),
            fingerprint=lower["sha256 fingerprint"].replace(":", "").lower(),
            serial=lower["serial"],
            issuer=lower["issuer"],
            public_key=key.group() if key else "",
        )
    except (KeyError, ValueError):
        return None


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _time(text: str) -> datetime:
    """Of "Nov 24 10:00:00 2026 GMT" (ASN1_TIME_print(3)). Raises ValueError for anything else."""
    month, day, clock, year, zone = text.split()
    if zone != "GMT":
        raise ValueError(zone)
    return datetime.fromisoformat(f"{year}-{_MONTHS.index(month) + 1:02}-{int(day):02}T{clock}+00:00")


def read(host: Host, path: str) -> X509 | None:
    """The first certificate in that file; None when there is none, or no openssl to read it."""
    if not isinstance(tree.follow_links(host, path), File):
        return None
    printed = host.ask(
        ["openssl", "x509", "-in", path, "-noout", "-dates", "-serial", "-issuer", "-fingerprint", "-sha256"]
        + ["-pubkey", "-ext", "subjectAltName"]
    )
    return parse(printed.out) if printed.ok else None


def public_key(host: Host, path: str) -> str | None:
    """The public half (PEM) of the private key in that file; None when there is none."""
    printed = host.ask(["openssl", "pkey", "-in", path, "-pubout"])
    return printed.out.strip() if printed.ok else None


def trusted(host: Host, path: str) -> bool:
    """True when this machine's own list of CAs trusts the first certificate in that file."""
    return host.ask(["openssl", "verify", "-purpose", "sslserver", "-untrusted", path, path]).ok
