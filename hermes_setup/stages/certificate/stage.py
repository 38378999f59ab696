"""A certificate for the domain is there, from the CA that was asked for, and it can be renewed through our webroot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hermes_setup.answers import fields
from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.host import Folder, Host
from hermes_setup.stages.certificate import certbot, lineages, rate_limits, refusals, self_signed, serving
from hermes_setup.stages.certificate.self_signed import OWN
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.values import dataclass

DAYS = 825
"""Lifetime of a self-signed certificate: the longest that Apple's systems take (support.apple.com/103769)."""


@dataclass(frozen=True)
class Facts:
    """The certificate that serves now, if any, and what is wrong with it. `given`: an Overlay takes the new one as there."""

    served: Served | None
    flaws: tuple[str, ...]
    given: bool
    now: datetime
    name: str
    replaces: lineages.Lineage | None
    program: str
    programs: tuple[str, ...]
    retry: datetime | None
    number: int
    failed: int = 0  # tries of the last hour that failed
    damaged: tuple[str, ...] = ()  # lineages of the name that certbot cannot use


class Certificate:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads certbot's folder and log, and the certificates themselves with openssl."""
        served, now = serving.served(answers, host), host.now()
        flaws = tuple(serving.flaws(answers, served, now)) if served else ()
        asking = not answers.issuer.self_signed and (served is None or bool(flaws))
        name = lineages.cert_name(host, answers)
        if served and served.lineage and served.leaf and lineages.own(answers, served.leaf):
            name = served.lineage.name
        there = lineages.lineages(host, answers.domain)
        return Facts(
            served=served,
            flaws=flaws,
            given=host.given(serving.fact(answers)),
            now=now,
            name=name,
            replaces=next((each for each in there if each.name == name), None),
            program=certbot.binary(host),
            programs=certbot.binaries(host),
            retry=rate_limits.refused_until(host, answers) if asking else None,
            number=self_signed.next_number(host, answers.domain),
            failed=rate_limits.failed_tries(host, answers) if asking and answers.issuer.public else 0,
            damaged=lineages.damaged(host, answers.domain),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """The CA may be asked, and what serves is good for a while."""
        found: list[Finding] = []
        if facts.retry and self._needed(facts) and not answers.issuer.self_signed:
            found.append(
                block(
                    "certificate.rate-limited",
                    f"{fields.ca_name(answers.issuer.directory)} takes no more requests for {answers.domain} "
                    f"until {facts.retry:%Y-%m-%d %H:%M} UTC.",
                    "It was asked too often; nothing resets that limit, and each try before then may prolong it.",
                    f"Run this again after {facts.retry:%Y-%m-%d %H:%M} UTC (now it is {facts.now:%H:%M}), or practise with "
                    'certificate = "letsencrypt-staging".',
                )
            )
        elif facts.failed and self._needed(facts):
            found.append(
                warn(
                    "certificate.tries",
                    f"{facts.failed} of the 5 failed tries that Let's Encrypt allows in an hour for {answers.domain} "
                    f"{'is' if facts.failed == 1 else 'are'} used up.",
                    "After the fifth it takes no more requests for the name until the hour is over.",
                    f"Be sure that the cause is mended. What went wrong: sudo less {rate_limits.LOG}",
                )
            )
        leaf = facts.served.leaf if facts.served else None
        if leaf and not answers.issuer.self_signed and not self._needed(facts) and leaf.left(facts.now) < 1 / 4:
            found.append(
                warn(
                    "certificate.ends-soon",
                    f"The certificate ends on {leaf.not_after:%Y-%m-%d %H:%M} UTC and should have been renewed by now.",
                    "certbot renews it when a third of its time is left; something keeps it from that.",
                    "See what: sudo certbot renew --dry-run --no-random-sleep-on-renew",
                )
            )
        practice = answers.issuer.self_signed or "staging" in answers.issuer.text
        if facts.served and facts.served.trusted and practice:
            found.append(
                warn(
                    "certificate.hsts",
                    f"Browsers that have been at {answers.domain} in the last 30 days will not open it any more.",
                    "They were told to insist on a certificate that they trust (HSTS), and offer no way past this one.",
                    "Keep Let's Encrypt, or use another browser or another name.",
                )
            )
        if answers.issuer.self_signed:
            ours = (
                leaf if facts.served and not facts.served.lineage else None
            )  # not that of the CA which serves until then
            until = f", until {ours.not_after:%Y-%m-%d}" if ours else ""
            found.append(
                warn(
                    "certificate.self-signed",
                    f"The certificate is signed by this server itself{until}: every browser warns of it.",
                    "Nobody but you can know that it is yours. That is fine for a try on one machine.",
                    'With a public name choose certificate = "letsencrypt" (sudo hermes-setup, "Certificate").',
                )
            )
        elif "staging" in answers.issuer.text:
            found.append(
                warn(
                    "certificate.staging",
                    "The certificate is one of Let's Encrypt's staging: for practice; every browser warns of it.",
                    "Its limits are wide, so that one may try.",
                    'When all works, choose certificate = "letsencrypt" (sudo hermes-setup, "Certificate").',
                )
            )
        if len(facts.programs) > 1:
            found.append(
                warn(
                    "certificate.two-certbots",
                    f"There are two certbots: {' and '.join(facts.programs)}.",
                    "Each has a timer of its own, and they get into each other's way.",
                    f"{facts.program} is used. Remove the other: sudo snap remove certbot, or sudo apt-get remove certbot",
                )
            )
        found += [
            warn(
                "certificate.damaged",
                f"certbot's files of the certificate {name} are damaged, as after a power cut.",
                "Another takes its place here; but certbot complains of the damaged one at each renewal.",
                # certbot delete itself fails on a renewal file without content (2.1 and 4.0)
                f"Move it out of the way: sudo mv {lineages.FOLDER}/renewal/{name}.conf /root/",
            )
            for name in facts.damaged
        ]
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """Nothing while the right one serves; else a new one beside what is there."""
        if not self._needed(facts):
            return ()
        reason = f" ({'; '.join(facts.flaws)})" if facts.flaws else ""
        if answers.issuer.self_signed:
            return _self_signed(answers, facts, reason)
        more: list[str] = []
        if facts.replaces:
            # certbot asks before it changes the names of a lineage, unless told to (main.py, _ask_user_to_confirm_new_names)
            more += ["--force-renewal", "--renew-with-new-domains"]
            if "staging" in answers.issuer.directory and "staging" not in facts.replaces.server:
                more.append("--break-my-certs")  # certbot's word for replacing a real one by a practice one
        ca = fields.ca_name(answers.issuer.directory)
        what = f"replace the certificate{reason} by one from {ca}" if facts.served else f"fetch a certificate from {ca}"
        return (
            Run(
                certbot.certonly(answers, facts.program, facts.name, *more),
                what,
                gives=serving.fact(answers),
                seconds=600,
                explain=lambda error: refusals.explain(error, answers.domain),
            ),
        )

    def _needed(self, facts: Facts) -> bool:
        return not facts.given and (facts.served is None or bool(facts.flaws))


def _self_signed(answers: Answers, facts: Facts, reason: str) -> Sequence[Change]:
    folder = f"{OWN}/{answers.domain}/{facts.number}"
    # The name stands in subjectAltName only: a common name holds 64 characters at most (X.520), a domain 253.
    argv = (
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"),
        *(
            "-days",
            str(DAYS),
            "-subj",
            "/O=hermes-setup/CN=self-signed",
            "-addext",
            f"subjectAltName={','.join(f'DNS:{name}' for name in answers.names)}",
        ),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"),
        *("-keyout", f"{folder}/privkey.pem", "-out", f"{folder}/fullchain.pem"),
    )
    return (
        Place(folder, Folder(0o700), "where the new certificate and its key go"),
        Run(argv, f"make a self-signed certificate for {DAYS} days{reason}", gives=serving.fact(answers), seconds=60),
    )
