"""Somebody renews the certificate, nginx loads the renewed one, and a rehearsal of it went through.

Nobody else would tell: Let's Encrypt's reminder mails ended in 2025 (letsencrypt.org/docs/expiration-emails).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from hermes_setup.answers import fields
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import Domain, Issuer
from hermes_setup.engine.changes import Change, Place, Probe, Run
from hermes_setup.engine.findings import Finding, note, warn
from hermes_setup.errors import CommandFailed
from hermes_setup.host import ABSENT, File, Folder, Host, Node, System
from hermes_setup.nginx import render, tree
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.certificate import certbot, lineages, refusals, self_signed, serving
from hermes_setup.stages.certificate.lineages import Lineage
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.stages.certificate.x509 import X509
from hermes_setup.stages.dns.facts import DEFINITE
from hermes_setup.state.places import STATE
from hermes_setup.values import dataclass, replace

HOOK = f"{lineages.FOLDER}/renewal-hooks/deploy/hermes-setup"
STAMP = f"{STATE}/stamps/renewal"
TIMERS = ("certbot.timer", "snap.certbot.renew.timer")
CRONTABS = ("/etc/crontab", "/etc/cron.d/*", "/etc/cron.daily/*", "/var/spool/cron/crontabs/root")
SITES = ("/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*", "/etc/nginx/sites-enabled/*", "/etc/nginx/snippets/*")
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
class Earlier:
    """An earlier name, its certificate, and which of the names in that have no address in DNS any more."""

    name: Domain
    lineage: Lineage
    leaf: X509
    lost: tuple[str, ...] = ()


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
    earlier: tuple[Earlier, ...] = ()


class Renewal:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads systemd's timers or cron, the hook, and certbot's renewal files."""
        served = serving.served(answers, host)
        moved = tuple((name, serving.served(answers.about(name), host)) for name in answers.redirects)
        used = _used(served, moved)
        node = host.look(STAMP)
        who, there, masked = ("", "", "") if answers.issuer.self_signed else _who(host)
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
            others=_left_behind(host, used),
            own_left=_own_left_behind(host, used),
            earlier=() if answers.issuer.self_signed else _earlier(moved, host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Somebody starts the renewal, or can be switched on to; the last rehearsal went through; nothing is left over."""
        found: list[Finding] = []
        if facts.others:
            one = len(facts.others) == 1
            found.append(
                note(
                    "certificate.left-behind",
                    f"{_these('certificate', facts.others)} not needed by this site any more, once all changes are made.",
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
                    f"{_these('self-signed certificate', facts.own_left, 'in ')} not needed by this site any more, once all "
                    "changes are made.",
                    "It stays until you say so; its key is in there."
                    if one
                    else "They stay until you say so; their keys are in there.",
                    f"After that, if no other site uses {'it' if one else 'them'}: sudo rm -r {' '.join(facts.own_left)}",
                )
            )
        if answers.issuer.self_signed:
            return found
        found += [finding for each in facts.earlier if (finding := _flawed(answers, each, facts))]
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
        if facts.rehearsed.failed and facts.rehearsed.state == _state(answers, facts.lineage):
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
        state, last = _state(answers, facts.lineage), facts.rehearsed
        again = last.failed is not None and not timedelta(0) <= facts.now - last.failed < JUST_NOW
        if again or (last.state != state and not (facts.given and last.state)):
            name = facts.lineage.name if facts.lineage else answers.domain.ascii
            ca = fields.ca_name(answers.issuer.directory)
            where = "Let's Encrypt's test servers" if ca.startswith("Let's Encrypt") else ca
            changes.append(Probe(Rehearsal(answers, facts.program, name, state), f"rehearse the renewal on {where}"))
        return changes


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
                    f"certificate made without it: {_again(self.answers, self.program, self.name)} ; else: {hint}"
                )
            last = Rehearsed(self.state, system.now(), meaning.message, hint)
            system.put(STAMP, File(last.text().encode(), 0o600))
            return [last.finding(error.output)]
        system.put(STAMP, File(Rehearsed(self.state).text().encode(), 0o600))
        return ()


def _state(answers: Answers, lineage: Lineage | None) -> str:
    """What a rehearsal speaks for: the names, the CA and the way."""
    more = "".join(f" {name}" for name in answers.names[1:])
    if not lineage:
        return f"{answers.domain} {answers.issuer.directory} {lineages.WEBROOT}{more}"
    return f"{lineage.name} {lineage.server} {lineage.webroot(answers.domain)}{more}"


def _again(answers: Answers, program: str, name: str, server: str = "") -> str:
    """The command that makes that lineage anew, with the names of the answers and no others."""
    issuer = Issuer(server, server) if server else answers.issuer
    argv = certbot.certonly(
        replace(answers, issuer=issuer, email=""), program, name, "--force-renewal", "--renew-with-new-domains"
    )
    return shlex.join(["sudo", *argv])


def _earlier(moved: Sequence[tuple[Domain, Served | None]], host: Host) -> tuple[Earlier, ...]:
    """The earlier names that have a certificate which certbot renews. DNS is asked for the names in them, side by side."""
    found = [
        Earlier(name, each.lineage, each.leaf)
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


def _flawed(answers: Answers, each: Earlier, facts: Facts) -> Finding | None:
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
            f"Have it made for {name} alone: {_again(answers.about(name), facts.program, lineage.name, lineage.server)}",
        )
    if name.ascii in each.lost:
        return warn(
            "certificate.redirect-flawed",
            f"The earlier name {name.label} has no record in DNS any more, so its certificate cannot be renewed.",
            f"Nobody gets from there to {answers.domain.label}, and certbot complains at each renewal.",
            f"Set its A record to this server's address again, {let_go}.",
        )
    if leaf.left(facts.now) < 1 / 4:
        return warn(
            "certificate.redirect-flawed",
            f"The certificate of {name.label}, which leads to {answers.domain.label}, ends on {leaf.not_after:%Y-%m-%d %H:%M} "
            "UTC and should have been renewed by now.",
            "After that, browsers that still use the earlier name are warned instead of led on.",
            f"See what is wrong: sudo certbot renew --cert-name {lineage.name} --dry-run --no-random-sleep-on-renew ; {let_go}.",
        )
    return None


def _these(what: str, names: Sequence[str], where: str = "") -> str:
    """The beginning of a sentence about one or more: The certificates a, b and c are ..."""
    told = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"The {what}{'' if len(names) == 1 else 's'} {where}{told} {'is' if len(names) == 1 else 'are'}"


def _used(served: Served | None, moved: Sequence[tuple[Domain, Served | None]]) -> tuple[str, ...]:
    """The certificates that the site is to use, whatever it uses now (an undoing changes that); () while there is none."""
    return (served.certificate, *(each.certificate for _, each in moved if each)) if served else ()


def _left_behind(host: Host, needed: Sequence[str]) -> tuple[str, ...]:
    """Lineages renewed through our webroot that no site of nginx names: left over from another domain or another CA."""
    if not needed:
        return ()
    sites = _sites(host)
    found = []
    for file in host.names(f"{lineages.FOLDER}/renewal"):
        node, name = _file(host, f"{lineages.FOLDER}/renewal/{file}"), file.removesuffix(".conf")
        if not node or not file.endswith(".conf"):
            continue
        lineage = lineages.parse_renewal(name, node.content.decode(errors="replace"))
        if not lineage or lineage.authenticator != "webroot" or lineages.WEBROOT not in lineage.webroots.values():
            continue
        used = lineage.fullchain in needed or any(f"live/{name}/".encode() in text for text in sites)
        if not used:
            found.append(name)
    return tuple(found)


def _sites(host: Host) -> list[bytes]:
    return [node.content for each in SITES for path in tree.expand(host, each) if (node := _file(host, path))]


def _own_left_behind(host: Host, needed: Sequence[str]) -> tuple[str, ...]:
    """Folders of self-signed certificates that no site of nginx names: left over from another domain, or from a try."""
    if not needed:
        return ()
    sites = _sites(host)
    folders = [f"{self_signed.OWN}/{name}" for name in host.names(self_signed.OWN)]
    return tuple(
        folder
        for folder in folders
        if not any(path.startswith(f"{folder}/") for path in needed)
        and not any(f"{folder}/".encode() in text for text in sites)
    )


def _file(host: Host, path: str) -> File | None:
    node = tree.resolve(host, path)
    return node if isinstance(node, File) else None


def _who(host: Host) -> tuple[str, str, str]:
    """(who renews, the timer that could be switched on, the timer that is masked)."""
    systemd = isinstance(host.look("/run/systemd/system"), Folder)
    off = masked = ""
    if systemd:
        if host.given("renewal timer") or host.given("packages"):  # Debian's package starts its timer
            return "timer", "", ""
        told = host.ask(["systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState", *TIMERS]).out
        for timer in parse_units(told):
            if timer["LoadState"] == "masked":
                masked = masked or timer["Id"]
            elif timer["LoadState"] == "loaded":
                # "disabled" and running: gone after the next restart
                if timer["ActiveState"] == "active" and timer["UnitFileState"] != "disabled":
                    return "timer", "", ""
                off = off or timer["Id"]
    if any(_renews(text, systemd=systemd) for text in _crontabs(host)) and _cron_runs(host):
        return "cron", "", ""
    return "", off, masked


def parse_units(text: str) -> list[Mapping[str, str]]:
    """`systemctl show` of several units: KEY=value lines, an empty line between two units (systemctl(1))."""
    blank = {"Id": "", "LoadState": "", "ActiveState": "", "UnitFileState": ""}
    blocks = re.split(r"\n\s*\n", text.strip())
    return [{**blank, **dict(re.findall(r"^(\w+)=(.*)$", block, re.M))} for block in blocks if block]


def _crontabs(host: Host) -> Iterator[str]:
    for pattern in CRONTABS:
        for path in tree.expand(host, pattern):
            if node := _file(host, path):
                yield node.content.decode(errors="replace")


def _renews(text: str, *, systemd: bool) -> bool:
    """True when a line of that crontab or script has certbot renew. Debian's own leaves it to systemd where that runs."""
    lines = [line for line in text.splitlines() if re.match(r"\s*[^#\s]", line)]
    return any(
        re.search(r"certbot(-auto)?\b.*\brenew\b", line) and not (systemd and "/run/systemd/system" in line)
        for line in lines
    )


def _cron_runs(host: Host) -> bool:
    for pid in host.names("/proc"):
        if pid.isdigit():
            node = host.look(f"/proc/{pid}/comm")
            if isinstance(node, File) and node.content.strip() in (b"cron", b"crond", b"anacron", b"fcron"):
                return True
    return False
