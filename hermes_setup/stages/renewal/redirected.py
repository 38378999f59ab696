"""The certificates of redirected domains: what will keep certbot from renewing them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.engine.findings import Finding, warn
from hermes_setup.host import Host
from hermes_setup.parallel import in_parallel
from hermes_setup.phrases import all_of
from hermes_setup.stages.certificate import lineages
from hermes_setup.stages.certificate.lineages import Lineage
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.stages.certificate.x509 import X509
from hermes_setup.stages.dns import records
from hermes_setup.stages.renewal.rehearsal import reissue_command
from hermes_setup.values import dataclass, replace


@dataclass(frozen=True)
class RedirectedCertificate:
    """A redirected domain, its certificate, and which of the names in that have no address in DNS any more."""

    domain: Domain
    lineage: Lineage
    x509: X509
    unresolved: tuple[str, ...] = ()


def certificates(served: Iterable[tuple[Domain, Served | None]], host: Host) -> tuple[RedirectedCertificate, ...]:
    """Those that certbot renews, of (redirected domain, its certificate). DNS is asked for all names side by side."""
    found = [
        RedirectedCertificate(domain, each.lineage, each.x509)
        for domain, each in served
        if each and each.lineage and each.x509 is not None
    ]
    names = {name for each in found for name in each.x509.names if not name.startswith("*.")}
    if not names:
        return ()

    missing = in_parallel(lambda name: records.has_no_address(host, name), names)
    unresolved = {name for name, none in zip(names, missing, strict=True) if none}
    return tuple(
        replace(each, unresolved=tuple(name for name in each.x509.names if name in unresolved)) for each in found
    )


def finding(answers: Answers, each: RedirectedCertificate, certbot: str, now: datetime) -> Finding | None:
    """What will keep certbot from renewing that certificate, and what to type; None for nothing."""
    name, expires = each.domain.label, each.x509.not_after
    target = answers.domain.label
    used = {used.ascii for used in (*answers.names, *answers.redirects)}
    former = lineages.unneeded_names(answers.about(each.domain), each.x509)
    unneeded = list(dict.fromkeys((*former, *(one for one in each.unresolved if one not in used))))
    or_remove = "or stop redirecting it: remove it from redirect_from in the answers, and apply them"
    if unneeded and each.domain.ascii not in each.unresolved:
        command = reissue_command(answers.about(each.domain), certbot, each.lineage.name, each.lineage.server)
        return warn(
            "certificate.redirect-flawed",
            f"The certificate of {name}, which redirects to {target}, still covers {all_of(unneeded)}, which nothing here "
            "uses any more.",
            "A single name that does not point to this server stops certbot from renewing it, so it would expire on "
            f"{expires:%Y-%m-%d}.",
            f"Get one for {each.domain} alone: {command}",
        )
    if each.domain.ascii in each.unresolved:
        return warn(
            "certificate.redirect-flawed",
            f"The redirected domain {name} has no DNS record any more, so its certificate can't be renewed.",
            f"It no longer redirects anyone to {target}, and certbot complains at each renewal.",
            f"Set its A record to this server's address again, {or_remove}.",
        )
    if each.x509.share_left(now) < 1 / 4:
        return warn(
            "certificate.redirect-flawed",
            f"The certificate of {name}, which redirects to {target}, expires on {expires:%Y-%m-%d %H:%M} UTC and should "
            "have been renewed by now.",
            "After that, browsers that still use the old domain show a warning instead of the redirect.",
            f"See what is wrong: sudo certbot renew --cert-name {each.lineage.name} --dry-run --no-random-sleep-on-renew ; "
            f"{or_remove}.",
        )
    return None
