"""The rehearsal of a renewal (certbot's dry run), and the stamp that says how the last one ended."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta

from hermes_setup.answers import fields
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import Issuer
from hermes_setup.engine.findings import Finding, warn
from hermes_setup.errors import CommandFailed
from hermes_setup.host import ABSENT, File, System
from hermes_setup.stages.certificate import certbot, lineages, refusals
from hermes_setup.stages.certificate.lineages import Lineage
from hermes_setup.state.places import STATE
from hermes_setup.values import dataclass, replace

STAMP = f"{STATE}/stamps/renewal"


JUST_NOW = timedelta(minutes=2)
"""How long a rehearsal that failed is not taken again: no run rehearses twice."""


@dataclass(frozen=True)
class Rehearsed:
    """The last rehearsal: what it spoke for, and, where it failed, when and why."""

    state: str = ""
    failed: datetime | None = None
    what: str = ""
    do: str = ""

    @classmethod
    def read(cls, text: str) -> Rehearsed:
        """A stamp: the state alone, or JSON where it failed. One that was torn says nothing."""
        if not text.startswith("{"):
            return cls(text)
        try:
            told = json.loads(text)
            return cls(told["state"], datetime.fromisoformat(told["failed"]), told["what"], told["do"])
        except (ValueError, KeyError, TypeError):
            return cls()

    def text(self) -> str:
        """What `read` reads."""
        if not self.failed:
            return self.state
        told = {"state": self.state, "failed": self.failed.isoformat(), "what": self.what, "do": self.do}
        return json.dumps(told)

    def finding(self, evidence: str = "") -> Finding:
        """The warning that a failed rehearsal leaves behind. The site works; it will not for ever."""
        return warn(
            "renewal.would-fail",
            f"The site works now, but renewing its certificate would fail: {self.what}",
            "In some weeks it would end, and browsers would refuse the site."
            + (f" This was tried at {self.failed:%Y-%m-%d %H:%M} UTC." if self.failed else ""),
            f"{self.do} Each run of hermes-setup tries it again, until it goes through.",
            evidence,
        )


@dataclass(frozen=True)
class Rehearsal:
    """`certbot renew --dry-run` for this certificate: all of a renewal but its result.

    It notes itself how it ended, because a failure does not stop the set-up: the site works, the hook must stay, and
    most often it is the test servers that have trouble. `doctor` warns until a rehearsal has gone through.
    """

    answers: Answers
    program: str
    name: str
    state: str

    def __call__(self, system: System) -> Sequence[Finding]:
        """Nothing when it went through; else a warning. Without its last flag it would sleep up to 8 minutes."""
        argv = [self.program, "renew", "--cert-name", self.name, "--dry-run", "--non-interactive"]
        if not fields.ca_name(self.answers.issuer.directory).startswith("Let's Encrypt"):
            # a dry run goes to Let's Encrypt's staging unless another server is named (certbot: set_test_server)
            argv += ["--server", self.answers.issuer.directory]
        system.put(STAMP, ABSENT)
        try:
            system.run([*argv, "--no-random-sleep-on-renew"], seconds=300)
        except CommandFailed as error:
            meaning = refusals.explain(error, self.answers.domain, test=True)
            hint, named = meaning.hint, refusals.spoken_of(error.output)
            if named and named not in {name.ascii for name in self.answers.names}:
                hint = (
                    f"{named} is in that certificate, too, and nothing that this site needs. If nothing else needs it, have the "
                    f"certificate made without it: {reissue_command(self.answers, self.program, self.name)} ; else: {hint}"
                )
            last = Rehearsed(self.state, system.now(), meaning.message, hint)
            system.put(STAMP, File(last.text().encode(), 0o600))
            return [last.finding(error.output)]
        system.put(STAMP, File(Rehearsed(self.state).text().encode(), 0o600))
        return ()


def state_of(answers: Answers, lineage: Lineage | None) -> str:
    """What a rehearsal speaks for: the names, the CA and the way."""
    more = "".join(f" {name}" for name in answers.names[1:])
    if not lineage:
        return f"{answers.domain} {answers.issuer.directory} {lineages.WEBROOT}{more}"
    return f"{lineage.name} {lineage.server} {lineage.webroot(answers.domain)}{more}"


def reissue_command(answers: Answers, program: str, name: str, server: str = "") -> str:
    """The command that makes that lineage anew, with the names of the answers and no others."""
    issuer = Issuer(server, server) if server else answers.issuer
    argv = certbot.certonly(
        replace(answers, issuer=issuer, email=""), program, name, "--force-renewal", "--renew-with-new-domains"
    )
    return shlex.join(["sudo", *argv])
