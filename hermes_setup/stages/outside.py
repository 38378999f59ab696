"""The look from outside, before the first real order for a name: a token by name, then Let's Encrypt's staging.

A request to one's own name may never leave the machine, so only somebody outside can say whether the way in is open.
certbot's own dry run is that somebody: a whole order on the staging servers, on an account of its own, whose limits are
wide (letsencrypt.org/docs/staging-environment). A failed real order counts: five in an hour for a name, then it is shut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hermes_setup import certbot
from hermes_setup.answers import Answers
from hermes_setup.certbot import CHALLENGES
from hermes_setup.changes import ABSENT, Change, File, Probe, Stamp
from hermes_setup.errors import CommandFailed
from hermes_setup.findings import Finding, block, warn
from hermes_setup.host import Host, Request, Response, System
from hermes_setup.passwords import make_token
from hermes_setup.state import STATE


@dataclass(frozen=True)
class Facts:
    """Whether an order is coming, and whether this name was looked at from outside before."""

    order: bool
    passed: bool
    program: str


class Outside:
    """See the module."""

    name = "outside"
    title = "Look from outside"

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads what certificate there is, and the stamp."""
        if not answers.issuer.public:
            return Facts(False, False, "")
        served = certbot.served(answers, host)
        return Facts(
            order=served is None or bool(certbot.flaws(answers, served, host.now())),
            passed=host.look(stamp(answers)) != ABSENT,
            program=certbot.binary(host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002 - nothing is seen without a look
        """Nothing: what it would see is outside."""
        return ()

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """Two looks before the first order for a name; none for other CAs, whose limits are their own business."""
        if not facts.order or facts.passed:
            return ()
        return (
            Probe(Token(answers), f"fetch a token by name: http://{answers.domain}/.well-known/acme-challenge/..."),
            Probe(
                Staging(answers, facts.program), "have Let's Encrypt's test servers look from outside; it costs nothing"
            ),
            Stamp(stamp(answers), File(b"passed", 0o600), "the look from outside"),
        )


def stamp(answers: Answers) -> str:
    """Where it is noted that this name was reached from outside."""
    return f"{STATE}/stamps/outside-{answers.domain}"


@dataclass(frozen=True)
class Token:
    """Fetch a random token by name, at every address that the name has."""

    answers: Answers

    def __call__(self, system: System) -> Sequence[Finding]:
        """Findings; the token is gone again."""
        name, token = self.answers.domain.ascii, make_token()
        path = f"{CHALLENGES}/{token}"
        addresses = [a for kind in ("A", "AAAA") for a in system.dns(name, kind).values]
        try:
            system.put(path, File(token.encode()))
            asked = [
                (a, system.fetch(Request(a, 80, name, f"/.well-known/acme-challenge/{token}")))
                for a in ["127.0.0.1", *addresses]
            ]
        finally:
            system.put(path, ABSENT)
        found = [finding for address, seen in asked if (finding := self._judge(address, seen, token))]
        return found[:1]

    def _judge(self, address: str, seen: Response, token: str) -> Finding | None:
        name = self.answers.domain
        if seen.status == 200 and seen.body.strip() == token.encode():
            return None
        if seen.status:
            return block(
                "outside.other-server",
                f"http://{name}/ at {address} is answered by another server or site ({seen.status}).",
                "Let's Encrypt would ask there, and not find its token.",
                f"If {address} is this server: another site of nginx takes the name (sudo nginx -T | grep -n {name}). "
                f"If not: point the A and AAAA records of {name} to this server only.",
                f"Server: {seen.header('Server') or '-'}; Location: {seen.header('Location') or '-'}",
            )
        if address == "127.0.0.1":
            return block(
                "outside.nginx-silent",
                f"nginx does not answer on this server itself ({seen.error}).",
                "So nobody outside can reach it, either.",
                "Look at: sudo nginx -t; sudo tail /var/log/nginx/error.log",
            )
        return warn(
            "outside.unreachable",
            f"From here, http://{name}/ at {address} gives no answer ({seen.error}).",
            "Many networks do not let a server reach its own public address, so this alone says little.",
            "The next step asks from outside. If that fails, too: open TCP 80 and 443 in your provider's firewall.",
        )


@dataclass(frozen=True)
class Staging:
    """A whole order on Let's Encrypt's staging, by certbot's own dry run: nothing is kept of it."""

    answers: Answers
    program: str

    def __call__(self, system: System) -> Sequence[Finding]:
        """Nothing when it went through; else a finding that blocks, with what the CA said."""
        argv = certbot.certonly(self.answers, self.program, self.answers.domain.ascii, "--dry-run")
        try:
            system.run(argv, seconds=300)
        except CommandFailed as error:
            meaning = certbot.explain(error, self.answers.domain, test=True)
            return [
                block(
                    "outside.refused",
                    meaning.message,
                    "The real order would fail the same way, and only five failures in an hour are allowed. None was used up.",
                    meaning.hint,
                    error.output[-1500:],
                )
            ]
        return ()
