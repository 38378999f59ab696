"""Which certificate is to be shown for the domain, and what is wrong with the one that is."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import ca_name
from hermes_setup.host import Host
from hermes_setup.parallel import Task
from hermes_setup.stages.certificate.lineages import FOLDER, WEBROOT, Lineage, cert_name, lineages, stale
from hermes_setup.stages.certificate.self_signed import OWN, next_number, own_pairs
from hermes_setup.stages.certificate.x509 import X509, leaf, public_key, trusted
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Served:
    """The certificate that nginx is to show now. `trusted`: this machine's own list of CAs vouches for it."""

    certificate: str
    key: str
    trusted: bool
    fingerprint: str = ""  # "" in a forecast: it is not there yet
    leaf: X509 | None = None
    lineage: Lineage | None = None

    def expired(self, now: datetime) -> bool:
        """True when browsers refuse it for its date."""
        return self.leaf is not None and self.leaf.left(now) <= 0


def fact(answers: Answers) -> str:
    """What is given once the certificate is there."""
    return f"certificate {' '.join(name.ascii for name in answers.names)} from {answers.issuer.text}"


def served(answers: Answers, host: Host) -> Served | None:
    """The certificate to show for the domain: whole and for this name; None when there is none.

    The one that was asked for comes first. While there is only another (the CA is being changed), that one serves on;
    and an expired one serves on until there is a better: a warning can be clicked away, a closed door cannot.
    """
    now = host.now()
    order = sorted(
        (*_own(answers, host), *_acme(answers, host)),
        key=lambda each: (
            each.expired(now),
            not _as_asked(answers, each),
            # another's certificate for the same name may live longer, and is not ours to renew
            len(flaws(answers, each, now)),
            -each.leaf.not_after.timestamp() if each.leaf else 0,
        ),
    )
    wanted = [each for each in order if _as_asked(answers, each) and not flaws(answers, each, now)]
    if not wanted and host.given(fact(answers)):
        if answers.issuer.self_signed:
            folder = f"{OWN}/{answers.domain}/{next_number(host, answers.domain)}"
        else:
            folder = f"{FOLDER}/live/{cert_name(host, answers)}"
        return Served(f"{folder}/fullchain.pem", f"{folder}/privkey.pem", answers.issuer.public)
    return next(iter([*wanted, *order]), None)


def _as_asked(answers: Answers, each: Served) -> bool:
    if answers.issuer.self_signed:
        return each.lineage is None
    return each.lineage is not None and each.lineage.server == answers.issuer.directory


def _own(answers: Answers, host: Host) -> list[Served]:
    for _, folder in own_pairs(host, answers.domain):
        found = _whole(answers, host, f"{folder}/fullchain.pem", f"{folder}/privkey.pem")
        if found:
            return [Served(f"{folder}/fullchain.pem", f"{folder}/privkey.pem", False, found.fingerprint, found)]
    return []


def _acme(answers: Answers, host: Host) -> list[Served]:
    found = []
    for lineage in lineages(host, answers.domain):
        vouched = Task(partial(trusted, host, lineage.fullchain))  # meanwhile, as below
        whole = _whole(answers, host, lineage.fullchain, lineage.key)
        if whole:
            found.append(Served(lineage.fullchain, lineage.key, vouched.value(), whole.fingerprint, whole, lineage))
    return found


def _whole(answers: Answers, host: Host, certificate: str, key: str) -> X509 | None:
    """The leaf, when it is for this name and the key is its own."""
    fits = Task(lambda: public_key(host, key))  # meanwhile: openssl takes longer to start than to look
    found = leaf(host, certificate)
    if not found or not found.covers(answers.domain):
        return None
    return found if found.public_key == fits.value() else None


def flaws(answers: Answers, each: Served, now: datetime) -> list[str]:
    """What keeps this certificate from being used on: () when it is as asked for, and renews itself by our webroot."""
    if answers.issuer.self_signed:
        if each.lineage:
            return [f"it is from {ca_name(each.lineage.server)}, and a self-signed one was asked for"]
        return [*_names(answers, each), *([] if each.leaf and each.leaf.left(now) > 1 / 3 else ["it ends soon"])]
    lineage, found = each.lineage, _names(answers, each)
    if not lineage:
        return ["it is not from a certificate authority"]
    if each.expired(now):
        found.append("it has expired")
    if lineage.server != answers.issuer.directory:
        found.append(f"it is from {ca_name(lineage.server)}")
    if lineage.authenticator != "webroot":
        found.append(f"certbot renews it by {lineage.authenticator or 'hand'}, not through the webroot")
    else:
        ways = {lineage.webroot(name) for name in answers.names if each.leaf and each.leaf.covers(name)}
        found += [
            f"certbot renews it through {way or 'no folder'}, not {WEBROOT}"
            for way in sorted(ways)
            if way.rstrip("/") != WEBROOT
        ]
    return found


def _names(answers: Answers, each: Served) -> list[str]:
    """Names that it lacks, and names that it holds no longer for anybody."""
    if each.leaf is None:
        return []
    lacking = [name.ascii for name in answers.names if not each.leaf.covers(name)]
    useless = stale(answers, each.leaf)
    return [*(f"it does not hold {name}" for name in lacking), *(f"it still holds {name}" for name in useless)]
