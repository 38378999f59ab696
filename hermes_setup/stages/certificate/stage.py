"""A certificate for the domain is there, from the CA that was asked for, and it can be renewed through our webroot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import ca_name
from hermes_setup.engine.changes import Change, Run
from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.host import Host
from hermes_setup.stages.certificate import certbot, lineages, rate_limits, refusals, self_signed, serving, webroot
from hermes_setup.stages.certificate.lineages import Lineage
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.stages.certificate.webroot import Webroot
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Facts:
    """The certificate that is served now, if any, and all that decides how a new one is asked for."""

    served: Served | None
    reasons: tuple[str, ...]  # why that one should be replaced; () when it is good
    given: bool  # a forecast: the new one counts as there
    now: datetime
    name: str  # of the lineage that a new one goes into
    replaces: Lineage | None  # what has that name already
    program: str  # the certbot that is used
    programs: tuple[str, ...]  # all certbots of this machine
    limited_until: datetime | None
    number: int  # of the next self-signed one
    failed_attempts: int = 0  # in the last hour
    damaged: tuple[str, ...] = ()  # lineages of the name that certbot cannot use
    webroot: Webroot = Webroot()

    @property
    def needed(self) -> bool:
        """True when a new certificate has to be made."""
        return not self.given and (self.served is None or bool(self.reasons))


class Certificate:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads certbot's folder and log, and the certificates themselves with openssl."""
        served, now = serving.certificate_for(answers, host), host.now()
        reasons = tuple(serving.reasons_to_replace(answers, served, now)) if served else ()
        from_ca = not answers.issuer.self_signed and (served is None or bool(reasons))
        name = lineages.cert_name(host, answers)
        if served and served.lineage and served.x509 and lineages.only_ours(answers, served.x509):
            name = served.lineage.name
        return Facts(
            served=served,
            reasons=reasons,
            given=host.given(serving.fact_name(answers)),
            now=now,
            name=name,
            replaces=next((each for each in lineages.for_domain(host, answers.domain) if each.name == name), None),
            program=certbot.binary(host),
            programs=certbot.binaries(host),
            limited_until=rate_limits.limited_until(host, answers) if from_ca else None,
            number=self_signed.next_number(host, answers.domain),
            failed_attempts=rate_limits.failed_attempts(host, answers) if from_ca and answers.issuer.production else 0,
            damaged=lineages.damaged(host, answers.domain),
            webroot=Webroot() if answers.issuer.self_signed else webroot.look(host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """The CA may be asked, and the certificate that is served is valid for a while and trusted by browsers."""
        return [
            *webroot.check(facts.webroot),
            *_limits(answers, facts),
            *_expiry(answers, facts),
            *_trust(answers, facts),
            *_certbot(facts),
        ]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """Nothing while the right certificate is served; else a new one beside what is there."""
        if not facts.needed:
            return ()
        reason = f" ({'; '.join(facts.reasons)})" if facts.reasons else ""
        if answers.issuer.self_signed:
            return self_signed.make(answers, facts.number, serving.fact_name(answers), reason)
        more: list[str] = []
        if facts.replaces:
            # certbot asks before it changes the names of a lineage, unless told to (main.py, _ask_user_to_confirm_new_names)
            more += ["--force-renewal", "--renew-with-new-domains"]
            if "staging" in answers.issuer.directory and "staging" not in facts.replaces.server:
                more.append("--break-my-certs")  # certbot's flag to replace a trusted certificate by a test one
        ca = ca_name(answers.issuer.directory)
        why = (
            f"replace the certificate{reason} with one from {ca}" if facts.served else f"fetch a certificate from {ca}"
        )
        return (
            Run(
                certbot.certonly(answers, facts.program, facts.name, *more),
                why,
                gives=serving.fact_name(answers),
                irreversible=True,
                seconds=600,
                explain=lambda error: refusals.explain(error, answers.domain),
            ),
        )


def _limits(answers: Answers, facts: Facts) -> list[Finding]:
    """The CA takes requests for the name now."""
    if not facts.needed:
        return []
    if facts.limited_until and not answers.issuer.self_signed:
        until = f"{facts.limited_until:%Y-%m-%d %H:%M} UTC"
        return [
            block(
                "certificate.rate-limited",
                f"{ca_name(answers.issuer.directory)} takes no more requests for {answers.domain} until {until} (rate limit).",
                "It was asked too often; nothing resets that limit, and each attempt before then may extend it.",
                f"Run this again after {until} (now it is {facts.now:%H:%M}), or use staging (test certificates): "
                'certificate = "letsencrypt-staging".',
            )
        ]
    if facts.failed_attempts:
        return [
            warn(
                "certificate.tries",
                f"{facts.failed_attempts} of the 5 failed attempts that Let's Encrypt allows in an hour for {answers.domain} "
                f"{'is' if facts.failed_attempts == 1 else 'are'} used up.",
                "After the fifth it takes no more requests for the name until the hour is over.",
                f"Make sure that the cause is fixed. What went wrong: sudo less {rate_limits.LOG}",
            )
        ]
    return []


def _expiry(answers: Answers, facts: Facts) -> list[Finding]:
    """certbot has renewed the certificate in time."""
    served = facts.served.x509 if facts.served else None
    if served is None or answers.issuer.self_signed or facts.needed or served.share_left(facts.now) >= 1 / 4:
        return []
    return [
        warn(
            "certificate.ends-soon",
            f"The certificate expires on {served.not_after:%Y-%m-%d %H:%M} UTC and should have been renewed by now.",
            "certbot renews it when a third of its time is left; something prevents that.",
            "See what: sudo certbot renew --dry-run --no-random-sleep-on-renew",
        )
    ]


def _trust(answers: Answers, facts: Facts) -> list[Finding]:
    """Browsers trust the certificate."""
    found: list[Finding] = []
    staging = "staging" in answers.issuer.text
    if facts.served and facts.served.trusted and (answers.issuer.self_signed or staging):
        found.append(
            warn(
                "certificate.hsts",
                f"Browsers that have been at {answers.domain} in the last 30 days will refuse to open it.",
                "They were told to insist on a certificate that they trust (HSTS), and offer no way around that.",
                "Keep Let's Encrypt, or use another browser or another domain.",
            )
        )
    if answers.issuer.self_signed:
        # not that of the CA, which is served until the new one is made
        ours = facts.served.x509 if facts.served and not facts.served.lineage else None
        until = f", until {ours.not_after:%Y-%m-%d}" if ours else ""
        found.append(
            warn(
                "certificate.self-signed",
                f"The certificate is signed by this server itself{until}: every browser warns about it.",
                "Only you can know that it is yours. That is fine for a test on one machine.",
                'With a public domain choose certificate = "letsencrypt" (sudo hermes-setup, "Certificate").',
            )
        )
    elif staging:
        found.append(
            warn(
                "certificate.staging",
                "The certificate is from Let's Encrypt's staging (test certificates): every browser warns about it.",
                "Staging has generous rate limits, so it is made for testing.",
                'When everything works, choose certificate = "letsencrypt" (sudo hermes-setup, "Certificate").',
            )
        )
    return found


def _certbot(facts: Facts) -> list[Finding]:
    """There is one certbot, and it can use its files."""
    found: list[Finding] = []
    if len(facts.programs) > 1:
        found.append(
            warn(
                "certificate.two-certbots",
                f"There are two certbots: {' and '.join(facts.programs)}.",
                "Each has its own timer, and they get in each other's way.",
                f"{facts.program} is used. Remove the other: sudo snap remove certbot, or sudo apt-get remove certbot",
            )
        )
    found += [
        warn(
            "certificate.damaged",
            f"certbot's files for the certificate {name} are damaged, as after a power cut.",
            "Another certificate is used here, but certbot complains about the damaged one at each renewal.",
            # certbot delete itself fails on a renewal file without content (2.1 and 4.0)
            f"Move it out of the way: sudo mv {lineages.FOLDER}/renewal/{name}.conf /root/",
        )
        for name in facts.damaged
    ]
    return found
