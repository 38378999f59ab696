"""The certificates of redirected domains: what will keep certbot from renewing them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import Domain
from hermes_setup.engine.findings import Finding, warn
from hermes_setup.host import Host
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.certificate import lineages
from hermes_setup.stages.certificate.lineages import Lineage
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.stages.certificate.x509 import X509
from hermes_setup.stages.dns.facts import DEFINITE
from hermes_setup.stages.renewal.rehearsal import reissue_command
from hermes_setup.values import dataclass, replace


@dataclass(frozen=True)
class Redirected:
    """An earlier name, its certificate, and which of the names in that have no address in DNS any more."""

    name: Domain
    lineage: Lineage
    leaf: X509
    lost: tuple[str, ...] = ()


def certificates_of(moved: Sequence[tuple[Domain, Served | None]], host: Host) -> tuple[Redirected, ...]:
    """The earlier names that have a certificate which certbot renews. DNS is asked for the names in them, side by side."""
    found = [
        Redirected(name, each.lineage, each.leaf)
        for name, each in moved
        if each and each.lineage and each.leaf is not None
    ]
    names = {name for each in found for name in each.leaf.names if not name.startswith("*.")}
    if not names:
        return ()

    def lost(name: str) -> bool:
        """True when DNS says that the name has no address. (An answer that fails says nothing.)"""
        told = [host.dns(name, kind) for kind in ("A", "AAAA")]
        return all(said.status in DEFINITE and not said.values for said in told)

    gone = {name for name, is_lost in zip(names, in_parallel(lost, names), strict=True) if is_lost}
    return tuple(replace(each, lost=tuple(name for name in each.leaf.names if name in gone)) for each in found)


def finding_of(answers: Answers, each: Redirected, program: str, now: datetime) -> Finding | None:
    """What will keep the certificate of an earlier name from being renewed, and what to type; None for nothing."""
    name, lineage, leaf = each.name, each.lineage, each.leaf
    used = {used.ascii for used in (*answers.names, *answers.redirects)}
    stale = lineages.stale(answers.about(name), leaf)
    lost = [one for one in each.lost if one not in used]
    useless = list(dict.fromkeys((*stale, *lost)))
    let_go = "or let the name go: take it out of redirect_from in the answers, and apply them"
    if useless and name.ascii not in each.lost:
        return warn(
            "certificate.redirect-flawed",
            f"The certificate of {name.label}, which leads to {answers.domain.label}, still holds {' and '.join(useless)}, "
            "which nothing here uses any more.",
            f"One name that does not lead here is enough: certbot cannot renew it then, and it ends on {leaf.not_after:%Y-%m-%d}.",
            f"Have it made for {name} alone: {reissue_command(answers.about(name), program, lineage.name, lineage.server)}",
        )
    if name.ascii in each.lost:
        return warn(
            "certificate.redirect-flawed",
            f"The earlier name {name.label} has no record in DNS any more, so its certificate cannot be renewed.",
            f"Nobody gets from there to {answers.domain.label}, and certbot complains at each renewal.",
            f"Set its A record to this server's address again, {let_go}.",
        )
    if leaf.left(now) < 1 / 4:
        return warn(
            "certificate.redirect-flawed",
            f"The certificate of {name.label}, which leads to {answers.domain.label}, ends on {leaf.not_after:%Y-%m-%d %H:%M} "
            "UTC and should have been renewed by now.",
            "After that, browsers that still use the earlier name are warned instead of led on.",
            f"See what is wrong: sudo certbot renew --cert-name {lineage.name} --dry-run --no-random-sleep-on-renew ; {let_go}.",
        )
    return None
