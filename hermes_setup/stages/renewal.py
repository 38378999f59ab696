"""Somebody renews the certificate, nginx loads the renewed one, and a rehearsal of it went through.

Nobody else would tell: Let's Encrypt's reminder mails ended in 2025 (letsencrypt.org/docs/expiration-emails).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hermes_setup import certbot, nginx
from hermes_setup.answers import Answers
from hermes_setup.certbot import Lineage
from hermes_setup.changes import Change, File, Place, Probe, Run, Stamp
from hermes_setup.errors import CommandFailed
from hermes_setup.findings import Finding, block, warn
from hermes_setup.host import Absent, Folder, Host, Node, System
from hermes_setup.state import STATE

HOOK = f"{certbot.FOLDER}/renewal-hooks/deploy/hermes-setup"
STAMP = f"{STATE}/stamps/renewal"
CRON = "/etc/cron.d/certbot"
TIMERS = ("certbot.timer", "snap.certbot.renew.timer")


@dataclass(frozen=True)
class Facts:
    """Who renews ("timer", "cron" or ""), what could be switched on, the hook, and what was rehearsed last."""

    lineage: Lineage | None
    installed: bool
    given: bool
    who: str
    timer_there: str  # a timer that exists and is off, "" for none
    hook: Node
    rehearsed: str
    program: str


class Renewal:
    """See the module."""

    name = "renewal"
    title = "Renewal"

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads systemd's timers or cron, and the hook."""
        served = None if answers.issuer.self_signed else certbot.served(answers, host)
        node = host.look(STAMP)
        who, there = "", ""
        if not answers.issuer.self_signed:
            who, there = _who(host)
        return Facts(
            lineage=served.lineage if served else None,
            installed=bool(certbot.binaries(host)),
            given=host.given(certbot.fact(answers)),
            who=who,
            timer_there=there,
            hook=host.look(HOOK),
            rehearsed=node.content.decode() if isinstance(node, File) else "",
            program=certbot.binary(host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Somebody starts the renewal, or can be switched on to."""
        if answers.issuer.self_signed or facts.who or facts.timer_there or not facts.installed:
            return ()
        return [
            warn(
                "renewal.nobody",
                "Nothing on this server starts certbot's renewal: there is no systemd timer and no cron at work.",
                "The certificate would end within 90 days, and nobody is told.",
                "Start cron (sudo apt-get install cron; sudo service cron start), or run daily from where you start this "
                f"machine: {facts.program} renew -q",
            )
        ]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """The timer, the hook that has nginx load the new certificate, and one rehearsal of it all."""
        if answers.issuer.self_signed:
            return ()
        changes: list[Change] = []
        if facts.timer_there:
            changes.append(
                Run(
                    ("systemctl", "enable", "--now", facts.timer_there),
                    "switch certbot's renewal timer on",
                    gives="renewal timer",
                    undo_argv=("systemctl", "disable", "--now", facts.timer_there),
                    seconds=60,
                )
            )
        hook = File(nginx.template("deploy-hook.sh").encode(), 0o755)
        if facts.hook != hook:
            changes.append(Place(HOOK, hook, "have nginx load each renewed certificate (certbot alone does not)"))
        state = _state(answers, facts.lineage)
        if facts.rehearsed != state and not (facts.given and facts.rehearsed):
            name = facts.lineage.name if facts.lineage else answers.domain.ascii
            changes.append(
                Probe(Rehearsal(answers, facts.program, name), "rehearse the renewal on the CA's test servers")
            )
            changes.append(Stamp(STAMP, File(state.encode(), 0o600), "the rehearsal of the renewal"))
        return changes


@dataclass(frozen=True)
class Rehearsal:
    """`certbot renew --dry-run` for this certificate: all of a renewal but its result."""

    answers: Answers
    program: str
    name: str

    def __call__(self, system: System) -> Sequence[Finding]:
        """Nothing when it went through; else a finding that blocks. Without the flag it would sleep up to 8 minutes."""
        argv = (
            self.program,
            "renew",
            "--cert-name",
            self.name,
            "--dry-run",
            "--no-random-sleep-on-renew",
            "--non-interactive",
        )
        try:
            system.run(argv, seconds=300)
        except CommandFailed as error:
            meaning = certbot.explain(error, self.answers.domain, test=True)
            return [
                block(
                    "renewal.would-fail",
                    f"The site works now, but renewing its certificate would fail: {meaning.message}",
                    "In some weeks it would end, and browsers would refuse the site.",
                    f"{meaning.hint} Then run hermes-setup again; it goes on here.",
                    error.output[-1500:],
                )
            ]
        return ()


def _state(answers: Answers, lineage: Lineage | None) -> str:
    """What a rehearsal speaks for: the name, the CA and the way."""
    if not lineage:
        return f"{answers.domain} {answers.issuer.directory} {certbot.WEBROOT}"
    return f"{lineage.name} {lineage.server} {lineage.webroot(answers.domain)}"


def _who(host: Host) -> tuple[str, str]:
    """(who renews, the timer that could be switched on)."""
    if isinstance(host.look("/run/systemd/system"), Folder):
        if host.given("renewal timer") or host.given("packages"):  # Debian's package starts its timer
            return "timer", ""
        active = host.ask(["systemctl", "is-active", *TIMERS]).out.split()
        if "active" in active:
            return "timer", ""
        there = host.ask(["systemctl", "list-unit-files", "--no-legend", "--plain", *TIMERS]).out.split()
        return "", next((timer for timer in TIMERS if timer in there), "")
    # Debian's cron file leaves it to systemd where that runs; elsewhere it does the work, if a cron daemon runs.
    if not isinstance(host.look(CRON), Absent) and _cron_runs(host):
        return "cron", ""
    return "", ""


def _cron_runs(host: Host) -> bool:
    for pid in host.names("/proc"):
        if pid.isdigit():
            node = host.look(f"/proc/{pid}/comm")
            if isinstance(node, File) and node.content.strip() in (b"cron", b"crond", b"anacron", b"fcron"):
                return True
    return False
