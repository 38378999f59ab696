"""The rehearsal of a renewal (certbot's dry run), and the stamp that says how the last one ended."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import Issuer, ca_name
from hermes_setup.engine.findings import Finding, warn
from hermes_setup.errors import CommandFailed
from hermes_setup.host import ABSENT, File, Host, System
from hermes_setup.stages.certificate import certbot, refusals
from hermes_setup.stages.certificate.lineages import WEBROOT, Lineage
from hermes_setup.state import stamps
from hermes_setup.values import dataclass, replace

PAUSE = timedelta(minutes=2)
"""How long a rehearsal that failed is not repeated: no run rehearses twice."""


@dataclass(frozen=True)
class LastRehearsal:
    """How the last rehearsal ended: what it was for (see `scope`), and, where it failed, when and why."""

    scope: str = ""
    failed: datetime | None = None
    what: str = ""
    do: str = ""

    @classmethod
    def parse(cls, text: str) -> LastRehearsal:
        """A stamp: the scope alone, or JSON where it failed. An incomplete one says nothing."""
        if not text.startswith("{"):
            return cls(text)
        try:
            table = json.loads(text)
            return cls(table["state"], datetime.fromisoformat(table["failed"]), table["what"], table["do"])
        except (ValueError, KeyError, TypeError):
            return cls()

    def text(self) -> str:
        """What `parse` reads."""
        if not self.failed:
            return self.scope
        table = {"state": self.scope, "failed": self.failed.isoformat(), "what": self.what, "do": self.do}
        return json.dumps(table)

    def finding(self, evidence: str = "") -> Finding:
        """The warning after a rehearsal that failed. The site works; it will not forever."""
        return warn(
            "renewal.would-fail",
            f"The site works now, but renewing its certificate would fail: {self.what}",
            "The certificate would expire in a few weeks, and browsers would refuse the site."
            + (f" Last tried at {self.failed:%Y-%m-%d %H:%M} UTC." if self.failed else ""),
            f"{self.do} Each run of hermes-setup tries it again, until it succeeds.",
            evidence,
        )


@dataclass(frozen=True)
class Rehearsal:
    """`certbot renew --dry-run` for this certificate: all of a renewal but its result.

    It writes down itself how it ended, because a failure does not stop the set-up: the site works, the hook must stay,
    and most often it is the staging servers that have trouble. `doctor` warns until a rehearsal has succeeded.
    """

    answers: Answers
    program: str
    name: str
    scope: str

    def __call__(self, system: System) -> Sequence[Finding]:
        """Nothing when it succeeded; else a warning. Without its last flag certbot would sleep for up to 8 minutes."""
        argv = [self.program, "renew", "--cert-name", self.name, "--dry-run", "--non-interactive"]
        if not _from_lets_encrypt(self.answers):
            # a dry run goes to Let's Encrypt's staging unless another server is named (certbot: set_test_server)
            argv += ["--server", self.answers.issuer.directory]
        system.put(stamps.RENEWAL, ABSENT)
        try:
            system.run([*argv, "--no-random-sleep-on-renew"], seconds=300)
        except CommandFailed as error:
            meaning = refusals.explain(error, self.answers.domain, staging=True)
            hint, name = meaning.hint, refusals.name_in(error.output)
            if name and name not in {each.ascii for each in self.answers.names}:
                hint = (
                    f"This site does not need {name}, which is in that certificate, too. If nothing else needs it, get the "
                    f"certificate without it: {reissue_command(self.answers, self.program, self.name)} ; otherwise: {hint}"
                )
            last = LastRehearsal(self.scope, system.now(), meaning.message, hint)
            system.put(stamps.RENEWAL, File(last.text().encode(), 0o600))
            return [last.finding(error.output)]
        system.put(stamps.RENEWAL, File(LastRehearsal(self.scope).text().encode(), 0o600))
        return ()


def last(host: Host) -> LastRehearsal:
    """How the last rehearsal on this machine ended, by its stamp."""
    stamp = host.look(stamps.RENEWAL)
    return LastRehearsal.parse(stamp.content.decode(errors="replace") if isinstance(stamp, File) else "")


def scope(answers: Answers, lineage: Lineage | None) -> str:
    """What a rehearsal is good for: the names, the CA and the webroot. With other ones it has to be repeated."""
    more = "".join(f" {name}" for name in answers.names[1:])
    if not lineage:
        return f"{answers.domain} {answers.issuer.directory} {WEBROOT}{more}"
    return f"{lineage.name} {lineage.server} {lineage.webroot(answers.domain)}{more}"


def where(answers: Answers) -> str:
    """Whose servers the rehearsal asks, in words."""
    return "Let's Encrypt's staging servers" if _from_lets_encrypt(answers) else ca_name(answers.issuer.directory)


def reissue_command(answers: Answers, program: str, name: str, server: str = "") -> str:
    """The command that gets that lineage again, with the names of the answers and no others."""
    issuer = Issuer(server, server) if server else answers.issuer
    argv = certbot.certonly(
        replace(answers, issuer=issuer, email=""), program, name, "--force-renewal", "--renew-with-new-domains"
    )
    return shlex.join(["sudo", *argv])


def _from_lets_encrypt(answers: Answers) -> bool:
    return ca_name(answers.issuer.directory).startswith("Let's Encrypt")
