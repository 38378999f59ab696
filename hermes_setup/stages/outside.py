"""The look from outside before the first real order for a name: a challenge token by name, then Let's Encrypt's staging.

A request to the server's own name may never leave the machine, so only someone outside can say whether it can be reached.
certbot's dry run does that: a whole order on the staging servers, with an account of its own, whose rate limits are
wide (letsencrypt.org/docs/staging-environment). A real order that fails counts: after five in an hour Let's Encrypt refuses
more for that name.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import LETSENCRYPT
from hermes_setup.engine.changes import Change, Probe, Stamp
from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.errors import CommandFailed
from hermes_setup.host import ABSENT, File, Host, Request, Response, System
from hermes_setup.stages.certificate import certbot, lineages, refusals, serving
from hermes_setup.stages.certificate.lineages import CHALLENGES
from hermes_setup.state import stamps
from hermes_setup.values import dataclass

LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Facts:
    """Whether a certificate will be ordered, and which of its names have not been reached from outside yet."""

    ordering: bool
    unreached: tuple[Domain, ...]
    certbot: str  # its path
    lineage: str = ""  # that the order will be for


class Outside:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads which certificate there is, and the notes of earlier looks."""
        if not answers.issuer.production:
            return Facts(False, (), "")
        served = serving.certificate_for(answers, host)
        return Facts(
            ordering=served is None or bool(serving.reasons_to_replace(answers, served, host.now())),
            unreached=tuple(name for name in answers.names if host.look(stamps.outside(name)) == ABSENT),
            certbot=certbot.binary(host),
            lineage=lineages.cert_name(host, answers),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002 - the plan does the looking
        """Nothing: the plan does the looking."""
        return ()

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """Two looks before the first order for a name; none for other CAs, whose rate limits are not known."""
        if not facts.ordering or not facts.unreached:
            return ()
        return (
            *(
                Probe(ChallengeToken(name), f"fetch a test token by name: http://{name}/.well-known/acme-challenge/...")
                for name in facts.unreached
            ),
            Probe(
                StagingOrder(answers, facts.certbot, facts.lineage),
                "have Let's Encrypt's test servers look from outside (staging; uses up no rate limit)",
            ),
            *(Stamp(stamps.outside(name), File(b"passed", 0o600), "reached from outside") for name in facts.unreached),
        )


@dataclass(frozen=True)
class ChallengeToken:
    """Fetch a random token by name, from every address of the name, as the CA does."""

    domain: Domain

    def __call__(self, system: System) -> Sequence[Finding]:
        """What is wrong, the worst first. The token is removed again."""
        name, token = self.domain.ascii, secrets.token_hex(16)
        path = f"{CHALLENGES}/{token}"
        addresses = [a for kind in ("A", "AAAA") for a in system.dns(name, kind).values]
        try:
            system.put(path, File(token.encode()))
            asked = [
                (a, system.fetch(Request(a, 80, name, f"/.well-known/acme-challenge/{token}")))
                for a in [LOCAL, *addresses]
            ]
        finally:
            system.put(path, ABSENT)
        found = {address: finding for address, seen in asked if (finding := self._finding(address, seen, token))}
        if LOCAL in found:  # from outside it can be no better
            return [found[LOCAL]]
        return sorted(found.values(), key=lambda finding: -finding.severity)

    def _finding(self, address: str, seen: Response, token: str) -> Finding | None:
        name = self.domain
        if seen.status == 200 and seen.body.strip() == token.encode():
            return None
        evidence = f"{seen.status}; Server: {seen.header('Server') or '-'}; Location: {seen.header('Location') or '-'}"
        if seen.status and address == LOCAL:
            return block(
                "outside.other-server",
                f"Another site on this server answers for {name} ({seen.status}).",
                "Let's Encrypt would get the same answer instead of its token.",
                f"Find it and remove the name from it: sudo nginx -T | grep -n {name}",
                evidence,
            )
        if seen.status in (301, 302, 303, 307, 308):
            return warn(
                "outside.redirected",
                f"http://{name}/ at {address} redirects to {seen.header('Location') or 'somewhere else'}.",
                "Something in front of this server answers, a proxy perhaps. Let's Encrypt follows redirects and may end up elsewhere.",
                "The next step checks from outside. If it fails, turn off the redirect to HTTPS there until the certificate is issued.",
                evidence,
            )
        if seen.status and (seen.header("CF-RAY") or seen.header("Server").lower() == "cloudflare"):
            return block(
                "outside.cloudflare",
                f"Cloudflare answers for http://{name}/ at {address} and doesn't pass the request on ({seen.status}).",
                "Let's Encrypt would get the same answer instead of its token.",
                f"At Cloudflare, under DNS, switch {name} from the orange to the grey cloud (DNS only), then run this again.",
                evidence,
            )
        if seen.status:
            return block(
                "outside.other-server",
                f"Another server answers for http://{name}/ at {address} ({seen.status}).",
                "Let's Encrypt would ask that server and not find its token.",
                f"Point the A and AAAA records of {name} at this server only. If {address} is this server, "
                "another program answers on that address: sudo hermes-setup doctor",
                evidence,
            )
        if address == LOCAL:
            return block(
                "outside.nginx-silent",
                f"nginx doesn't answer on this server ({seen.error}).",
                "So no one can reach it from outside either.",
                "See why: sudo nginx -t; sudo tail /var/log/nginx/error.log",
            )
        return warn(
            "outside.unreachable",
            f"From this server, http://{name}/ at {address} doesn't answer ({seen.error}).",
            "Many networks don't let a server reach its own public address, so this alone means little.",
            "The next step checks from outside. If it fails too, open TCP 80 and 443 in your provider's firewall.",
        )


@dataclass(frozen=True)
class StagingOrder:
    """A whole order on Let's Encrypt's staging servers, by certbot's dry run: nothing of it is kept."""

    answers: Answers
    certbot: str  # its path
    lineage: str

    def __call__(self, system: System) -> Sequence[Finding]:
        """Nothing when it went through; else a finding that blocks, with what the CA said."""
        argv = certbot.certonly(self.answers, self.certbot, self.lineage, "--renew-with-new-domains", "--dry-run")
        try:
            system.run(argv, seconds=300)
        except CommandFailed as error:
            if "certificate verify failed" in error.output.lower() and (wrong := _wrong_clock(system)):
                return [wrong]
            meaning = refusals.explain(error, self.answers.domain, staging=True)
            return [
                block(
                    "outside.refused",
                    meaning.message,
                    "The real order would fail the same way, and Let's Encrypt allows five failures an hour. None was used up.",
                    meaning.hint,
                    error.output,
                )
            ]
        return ()


def _wrong_clock(host: Host) -> Finding | None:
    """A finding when this server's clock and Let's Encrypt's are five minutes apart: then no TLS certificate is valid."""
    from email.utils import parsedate_to_datetime

    name = urlsplit(LETSENCRYPT).hostname or ""
    for address in host.dns(name, "A").values or host.dns(name, "AAAA").values:
        # the certificate is not verified: with a wrong clock it could not be, and only a time is read
        date = host.fetch(Request(address, 443, name, "/directory", method="HEAD", tls=True)).header("Date")
        try:
            theirs = parsedate_to_datetime(date)
        except (TypeError, ValueError):
            continue
        apart = host.now() - theirs
        if abs(apart) > timedelta(minutes=5):
            return block(
                "outside.clock",
                f"This server's clock is wrong: it says {host.now():%Y-%m-%d %H:%M} UTC, Let's Encrypt's says {theirs:%Y-%m-%d %H:%M}.",
                "With a wrong clock every certificate looks expired or not yet valid, Let's Encrypt's own included.",
                "Set it: sudo timedatectl set-ntp true; in a container, on the host. Then run this again.",
            )
        return None
    return None
