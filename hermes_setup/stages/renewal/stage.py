"""Something renews the certificate, nginx loads the renewed one, and a rehearsal of it succeeded.

No one else would warn: Let's Encrypt's reminder e-mails ended in 2025 (letsencrypt.org/docs/expiration-emails).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Probe, Run
from hermes_setup.engine.findings import Finding, warn
from hermes_setup.host import Host, Node
from hermes_setup.stages.certificate import certbot, serving
from hermes_setup.stages.certificate.lineages import Lineage
from hermes_setup.stages.renewal import hook, left_behind, redirected, rehearsal, timers
from hermes_setup.stages.renewal.redirected import RedirectedCertificate
from hermes_setup.stages.renewal.rehearsal import LastRehearsal, Rehearsal
from hermes_setup.stages.renewal.timers import Schedule
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Facts:
    """What starts the renewal, the hook, how the last rehearsal ended, and which certificates are of no use."""

    lineage: Lineage | None  # of the certificate that is served
    installed: bool  # certbot
    given: bool  # a forecast: the certificate counts as there
    schedule: Schedule
    hook: Node
    last_rehearsal: LastRehearsal
    program: str  # the certbot that is used
    now: datetime
    hooks_off: bool = False
    unused_lineages: tuple[str, ...] = ()  # renewed through our webroot, and used by no site
    unused_self_signed: tuple[str, ...] = ()  # folders of self-signed ones, likewise
    redirected: tuple[RedirectedCertificate, ...] = ()


class Renewal:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads systemd's timers or cron, the hook, and certbot's renewal files."""
        served = serving.certificate_for(answers, host)
        of_redirects = [(name, serving.certificate_for(answers.about(name), host)) for name in answers.redirects]
        needed = left_behind.needed_certificates(served, (each for _, each in of_redirects))
        self_signed = answers.issuer.self_signed
        return Facts(
            lineage=served.lineage if served else None,
            installed=bool(certbot.binaries(host)),
            given=host.given(serving.fact_name(answers)),
            schedule=Schedule() if self_signed else timers.schedule(host),
            hook=host.look(hook.HOOK),
            last_rehearsal=rehearsal.last(host),
            program=certbot.binary(host),
            now=host.now(),
            hooks_off=hook.switched_off(host),
            unused_lineages=left_behind.unused_lineages(host, needed),
            unused_self_signed=left_behind.unused_self_signed(host, needed),
            redirected=() if self_signed else redirected.certificates(of_redirects, host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Something starts the renewal, or can be made to; the last rehearsal succeeded; nothing is left behind."""
        found = left_behind.findings(facts.unused_lineages, facts.unused_self_signed)
        if answers.issuer.self_signed:
            return found
        for each in facts.redirected:
            if finding := redirected.finding(answers, each, facts.program, facts.now):
                found.append(finding)
        if facts.installed and not facts.schedule.by and not facts.schedule.timer_off:
            found.append(_nothing_renews(facts.schedule.timer_masked, facts.program))
        if facts.hooks_off:
            found.append(hook.switched_off_finding())
        if facts.last_rehearsal.failed and facts.last_rehearsal.scope == rehearsal.scope(answers, facts.lineage):
            found.append(facts.last_rehearsal.finding())
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """The timer, the hook that has nginx load the new certificate, and one rehearsal of it all."""
        if answers.issuer.self_signed:
            return ()
        changes: list[Change] = []
        if timer := facts.schedule.timer_off:
            changes.append(
                Run(
                    ("systemctl", "enable", "--now", timer),
                    "enable certbot's renewal timer",
                    gives=timers.ENABLED,
                    undo_argv=("systemctl", "disable", "--now", timer),
                    seconds=60,
                )
            )
        changes += hook.places(facts.hook)
        scope, last = rehearsal.scope(answers, facts.lineage), facts.last_rehearsal
        repeat = last.failed is not None and not timedelta(0) <= facts.now - last.failed < rehearsal.PAUSE
        if repeat or (last.scope != scope and not (facts.given and last.scope)):
            name = facts.lineage.name if facts.lineage else answers.domain.ascii
            why = f"rehearse the renewal on {rehearsal.where(answers)}"
            changes.append(Probe(Rehearsal(answers, facts.program, name, scope), why))
        return changes


def _nothing_renews(masked: str, program: str) -> Finding:
    if masked:
        what = f"certbot's renewal never starts: its timer {masked} is masked in systemd."
        do = f"sudo systemctl unmask {masked}; sudo systemctl enable --now {masked}"
    else:
        what = "Nothing on this server starts certbot's renewal: no systemd timer, and no running cron."
        do = (
            "Start cron (sudo apt-get install cron; sudo service cron start), or run this daily from where you start this "
            f"machine: {program} renew -q"
        )
    return warn("renewal.nobody", what, "The certificate would expire within 90 days, without any warning.", do)
