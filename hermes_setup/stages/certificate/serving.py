"""Which certificate nginx is to show for the domain, and why that one should be replaced, if it should."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import ca_name
from hermes_setup.host import Host
from hermes_setup.parallel import Task
from hermes_setup.stages.certificate import lineages, self_signed, x509
from hermes_setup.stages.certificate.lineages import FOLDER, WEBROOT, Lineage
from hermes_setup.stages.certificate.x509 import X509
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Served:
    """The certificate that nginx is to show now. `trusted`: this machine's own list of CAs trusts it."""

    certificate: str  # the path of the chain
    key: str  # the path of its private key
    trusted: bool
    fingerprint: str = ""  # "" in a forecast: it is not there yet
    x509: X509 | None = None  # None in a forecast
    lineage: Lineage | None = None  # None: not from certbot

    def expired(self, now: datetime) -> bool:
        """True when browsers refuse it because of its dates."""
        return self.x509 is not None and self.x509.share_left(now) <= 0


def fact_name(answers: Answers) -> str:
    """The fact that the Run which gets this certificate gives (see `Host.given`)."""
    return f"certificate {' '.join(name.ascii for name in answers.names)} from {answers.issuer.text}"


def certificate_for(answers: Answers, host: Host) -> Served | None:
    """The certificate to show for the domain: complete and for this name; None when there is none.

    The one that was asked for comes first. While there is only another (the CA is being changed), that one is used; and
    an expired one is used until there is a better one: people can click past a warning, but not past a refused connection.
    """
    now = host.now()
    candidates = sorted(
        (*_self_signed(answers, host), *_from_certbot(answers, host)),
        key=lambda each: (
            each.expired(now),
            not _from_chosen_issuer(answers, each),
            # someone else's certificate for the same name may be valid for longer, and is not ours to renew
            len(reasons_to_replace(answers, each, now)),
            -each.x509.not_after.timestamp() if each.x509 else 0,
        ),
    )
    good = [
        each for each in candidates if _from_chosen_issuer(answers, each) and not reasons_to_replace(answers, each, now)
    ]
    if not good and host.given(fact_name(answers)):
        if answers.issuer.self_signed:
            folder = f"{self_signed.FOLDER}/{answers.domain}/{self_signed.next_number(host, answers.domain)}"
        else:
            folder = f"{FOLDER}/live/{lineages.cert_name(host, answers)}"
        return Served(f"{folder}/fullchain.pem", f"{folder}/privkey.pem", answers.issuer.production)
    return next(iter([*good, *candidates]), None)


def reasons_to_replace(answers: Answers, each: Served, now: datetime) -> list[str]:
    """Why this certificate should be replaced; [] when it is as asked for, and certbot renews it through our webroot."""
    if answers.issuer.self_signed:
        if each.lineage:
            return [f"it is from {ca_name(each.lineage.server)}, and you asked for a self-signed one"]
        lasts = each.x509 and each.x509.share_left(now) > 1 / 3
        return [*_wrong_names(answers, each), *([] if lasts else ["it expires soon"])]
    lineage, found = each.lineage, _wrong_names(answers, each)
    if not lineage:
        return ["it is not from a certificate authority"]
    if each.expired(now):
        found.append("it has expired")
    if lineage.server != answers.issuer.directory:
        found.append(f"it is from {ca_name(lineage.server)}")
    if lineage.authenticator != "webroot":
        found.append(f"certbot renews it by {lineage.authenticator or 'hand'}, not through the webroot")
    else:
        webroots = {lineage.webroot(name) for name in answers.names if each.x509 and each.x509.covers(name)}
        found += [
            f"certbot renews it through {webroot or 'no folder'}, not {WEBROOT}"
            for webroot in sorted(webroots)
            if webroot.rstrip("/") != WEBROOT
        ]
    return found


def _from_chosen_issuer(answers: Answers, each: Served) -> bool:
    if answers.issuer.self_signed:
        return each.lineage is None
    return each.lineage is not None and each.lineage.server == answers.issuer.directory


def _self_signed(answers: Answers, host: Host) -> list[Served]:
    """The newest complete self-signed certificate for the domain, if there is one."""
    for _, folder in self_signed.pairs(host, answers.domain):
        certificate, key = f"{folder}/fullchain.pem", f"{folder}/privkey.pem"
        found = _certificate_with_its_key(answers, host, certificate, key)
        if found:
            return [Served(certificate, key, False, found.fingerprint, found)]
    return []


def _from_certbot(answers: Answers, host: Host) -> list[Served]:
    """The complete certificates for the domain that certbot renews."""
    found = []
    for lineage in lineages.for_domain(host, answers.domain):
        trusted = Task(partial(x509.trusted, host, lineage.fullchain))  # side by side, as below
        complete = _certificate_with_its_key(answers, host, lineage.fullchain, lineage.key)
        if complete:
            found.append(
                Served(lineage.fullchain, lineage.key, trusted.value(), complete.fingerprint, complete, lineage)
            )
    return found


def _certificate_with_its_key(answers: Answers, host: Host, certificate: str, key: str) -> X509 | None:
    """The first certificate of that file, where it is for the domain and the key is its own."""
    public_key = Task(lambda: x509.public_key(host, key))  # side by side: openssl takes longer to start than to read
    found = x509.read(host, certificate)
    if not found or not found.covers(answers.domain):
        return None
    return found if found.public_key == public_key.value() else None


def _wrong_names(answers: Answers, each: Served) -> list[str]:
    """Names that it lacks, and names that are in it and that no one needs any more."""
    if each.x509 is None:
        return []
    missing = [name.ascii for name in answers.names if not each.x509.covers(name)]
    unneeded = lineages.unneeded_names(answers, each.x509)
    return [*(f"it does not cover {name}" for name in missing), *(f"it still covers {name}" for name in unneeded)]
