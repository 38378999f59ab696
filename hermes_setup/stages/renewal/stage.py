"""Somebody renews the certificate, nginx loads the renewed one, and a rehearsal of it went through.

Nobody else would tell: Let's Encrypt's reminder mails ended in 2025 (letsencrypt.org/docs/expiration-emails).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from hermes_setup.answers import fields
from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Probe, Run
from hermes_setup.engine.findings import Finding, note, warn
from hermes_setup.host import File, Host, Node
from hermes_setup.nginx import render
from hermes_setup.stages.certificate import certbot, lineages, serving
from hermes_setup.stages.certificate.lineages import Lineage
from hermes_setup.stages.renewal.hook import HOOK
from hermes_setup.stages.renewal.left_behind import needed_certificates, subject, unused_lineages, unused_self_signed
from hermes_setup.stages.renewal.redirected import Redirected, certificates_of, finding_of
from hermes_setup.stages.renewal.rehearsal import JUST_NOW, STAMP, Rehearsal, Rehearsed, state_of
from hermes_setup.stages.renewal.timers import who_renews
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Facts:
    """Who renews ("timer", "cron" or ""), what could be switched on, the hook, and what was rehearsed last."""

    lineage: Lineage | None
    installed: bool
    given: bool
    who: str
    timer_there: str  # a timer that exists and is off, or would be after a restart; "" for none
    hook: Node
    rehearsed: Rehearsed
    program: str
    now: datetime
    masked: str = ""  # a timer that systemd is told never to start
    hooks_off: bool = False
    others: tuple[str, ...] = ()  # certificates that come through our webroot and that nobody uses
    own_left: tuple[str, ...] = ()  # folders of self-signed ones, likewise
    earlier: tuple[Redirected, ...] = ()


class Renewal:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads systemd's timers or cron, the hook, and certbot's renewal files."""
        served = serving.served(answers, host)
        moved = tuple((name, serving.served(answers.about(name), host)) for name in answers.redirects)
        used = needed_certificates(served, moved)
        node = host.look(STAMP)
        who, there, masked = ("", "", "") if answers.issuer.self_signed else who_renews(host)
        settings = host.look(f"{lineages.FOLDER}/cli.ini")
        return Facts(
            lineage=served.lineage if served else None,
            installed=bool(certbot.binaries(host)),
            given=host.given(serving.fact(answers)),
            who=who,
            timer_there=there,
            hook=host.look(HOOK),
            rehearsed=Rehearsed.read(node.content.decode(errors="replace") if isinstance(node, File) else ""),
            program=certbot.binary(host),
            now=host.now(),
            masked=masked,
            hooks_off=isinstance(settings, File)
            and re.search(rb"^\s*no-directory-hooks\s*(=\s*[Tt]rue\s*)?$", settings.content, re.M) is not None,
            others=unused_lineages(host, used),
            own_left=unused_self_signed(host, used),
            earlier=() if answers.issuer.self_signed else certificates_of(moved, host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Somebody starts the renewal, or can be switched on to; the last rehearsal went through; nothing is left over."""
        found: list[Finding] = []
        if facts.others:
            one = len(facts.others) == 1
            found.append(
                note(
                    "certificate.left-behind",
                    f"{subject('certificate', facts.others)} not needed by this site any more, once all changes are made.",
                    "It stays until you say so; certbot goes on renewing it, or fails to."
                    if one
                    else "They stay until you say so; certbot goes on renewing them, or fails to.",
                    f"After that, if no other site uses {'it' if one else 'them'}: "
                    + " ; ".join(f"sudo certbot delete --cert-name {name}" for name in facts.others),
                )
            )
        if facts.own_left:
            one = len(facts.own_left) == 1
            found.append(
                note(
                    "certificate.left-behind",
                    f"{subject('self-signed certificate', facts.own_left, 'in ')} not needed by this site any more, once all "
                    "changes are made.",
                    "It stays until you say so; its key is in there."
                    if one
                    else "They stay until you say so; their keys are in there.",
                    f"After that, if no other site uses {'it' if one else 'them'}: sudo rm -r {' '.join(facts.own_left)}",
                )
            )
        if answers.issuer.self_signed:
            return found
        found += [finding for each in facts.earlier if (finding := finding_of(answers, each, facts.program, facts.now))]
        if facts.installed and not facts.who and not facts.timer_there:
            unmask = f"sudo systemctl unmask {facts.masked}; sudo systemctl enable --now {facts.masked}"
            found.append(
                warn(
                    "renewal.nobody",
                    f"systemd is told never to start certbot's renewal: {facts.masked} is masked."
                    if facts.masked
                    else "Nothing on this server starts certbot's renewal: there is no systemd timer and no cron at work.",
                    "The certificate would end within 90 days, and nobody is told.",
                    unmask
                    if facts.masked
                    else "Start cron (sudo apt-get install cron; sudo service cron start), or run daily from where you "
                    f"start this machine: {facts.program} renew -q",
                )
            )
        if facts.hooks_off:
            found.append(
                warn(
                    "renewal.hooks-off",
                    f"{lineages.FOLDER}/cli.ini says no-directory-hooks, so nginx is not told of a renewed certificate.",
                    "It would go on serving the old one until that ends.",
                    f"Take that line out of {lineages.FOLDER}/cli.ini.",
                )
            )
        if facts.rehearsed.failed and facts.rehearsed.state == state_of(answers, facts.lineage):
            found.append(facts.rehearsed.finding())
        return found

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
        hook = File(render.template("deploy-hook.sh").encode(), 0o755)
        if facts.hook != hook:
            same = isinstance(facts.hook, File) and facts.hook.content == hook.content
            why = "have nginx load each renewed certificate (certbot alone does not)"
            changes.append(Place(HOOK, hook, "root's, and a program that certbot may run" if same else why))
        state, last = state_of(answers, facts.lineage), facts.rehearsed
        again = last.failed is not None and not timedelta(0) <= facts.now - last.failed < JUST_NOW
        if again or (last.state != state and not (facts.given and last.state)):
            name = facts.lineage.name if facts.lineage else answers.domain.ascii
            ca = fields.ca_name(answers.issuer.directory)
            where = "Let's Encrypt's test servers" if ca.startswith("Let's Encrypt") else ca
            changes.append(Probe(Rehearsal(answers, facts.program, name, state), f"rehearse the renewal on {where}"))
        return changes
