"""What the last run changed, put back: a run like any other, whose plan is the before-images of that one.

A path that holds neither what that run left there nor what was there before has been edited since, and is left alone.
What is put back is loaded as it is, whoever wrote it: nothing is rendered anew (`Loaded`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from hermes_setup import digests, phrases
from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import ABSENT, Absent, File, Folder, Host, Node
from hermes_setup.nginx import processes, tree, trial
from hermes_setup.stages.site import loading, placing
from hermes_setup.stages.site import stage as site
from hermes_setup.stages.site.facts import AVAILABLE
from hermes_setup.stages.site.facts import Facts as SiteFacts
from hermes_setup.stages.users import cookies, htpasswd
from hermes_setup.state.places import STATE
from hermes_setup.values import dataclass, field

DONE = f"{STATE}/stamps/undone"
"""The name of the run that was put back last."""


@dataclass(frozen=True)
class Facts:
    """What the paths of that run hold now."""

    nodes: Mapping[str, Node] = field(repr=False)
    done: bool
    pid: str  # nginx's pid file
    running: bool  # nginx
    unit: bool  # it runs as systemd's unit
    site: Node = field(repr=False)
    gate: Node = field(repr=False)
    lost: tuple[str, ...] = ()  # certificates that the sites of before name, and that are not there any more


class Undo:
    """See the module. `run` is that run's name, `pairs` its (change, way back), oldest first."""

    def __init__(self, run: str, pairs: Sequence[tuple[Change, Change]]) -> None:
        self._run = run
        self._before: dict[str, Place] = {}
        self._after: dict[str, Node] = {}
        self._stamps: dict[str, None] = {}
        self._commands: dict[tuple[str, ...], str] = {}
        for change, back in pairs:
            match change, back:
                case Place(path=path, node=node), Place() if not isinstance(node, Folder):
                    self._before.setdefault(path, back)
                    self._after[path] = node
                case Stamp(path=path), _:
                    self._stamps[path] = None
                case _, Run(argv=argv, why=why):
                    self._commands.pop(argv, None)  # the last time counts: files first, then commands, newest first
                    self._commands[argv] = why

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002 - the same for every answer
        """See `look`."""
        return self.look(host)

    def look(self, host: Host) -> Facts:
        """Reads the paths, and which certificates the sites of before need."""
        stamp = host.look(DONE)
        done = isinstance(stamp, File) and stamp.content.decode("utf-8", "replace") == self._run
        pid = tree.read(host).pid
        running = bool(processes.workers(host, pid).master)
        return Facts(
            {path: host.look(path) for path in self._before},
            done,
            pid,
            running,
            running and host.ask(("systemctl", "is-active", "--quiet", "nginx")).ok,
            host.look(AVAILABLE),
            host.look(cookies.GATE_FILE),
            tuple(
                path
                for back in self._before.values()
                for path in _certificates(back.node)
                if isinstance(tree.follow_links(host, path), Absent)
            ),
        )

    def leaves(self, facts: Facts) -> bool:
        """True when something of that run is still there. A run that failed put its own files back."""
        commands = [argv for argv in self._commands if not _loads(argv)]
        return not facts.done and (
            bool(commands) or any(facts.nodes[path] != back.node for path, back in self._before.items())
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002
        """What stays as it is, and why; who can sign in then."""
        if facts.done:
            return ()
        edited = [path for path in self._before if self._edited(path, facts.nodes[path])]
        found = [
            note(
                "undo.edited",
                f"{path} was changed by someone since that run, so it stays as it is.",
                "What somebody else wrote is never thrown away.",
                f"What was there before that run: sudo ls {STATE}/runs/{self._run}/before",
            )
            for path in edited
        ]
        if htpasswd.USERS_FILE in self._before:
            now, before = facts.nodes[htpasswd.USERS_FILE], self._before[htpasswd.USERS_FILE].node
            stay = htpasswd.USERS_FILE in edited
            found += _still(now, before, self._after[htpasswd.USERS_FILE]) if stay else _users(now, before)
        if facts.lost:
            found.append(
                block(
                    "undo.certificate",
                    f"The certificate of before is not there any more: {', '.join(facts.lost)}.",
                    "nginx would not start with a site that names it.",
                    "Change the answers instead, which fetches a new one: sudo hermes-setup (Domain, or Certificate)",
                )
            )
        if any(path in self._before for path in (AVAILABLE, f"{tree.FOLDER}/sites-enabled/{placing.LINK}")):
            found.append(
                note(
                    "undo.stays",
                    "Packages that were installed and certificates that were fetched stay.",
                    "They harm nobody, and a certificate counts against the authority's limits when it is fetched again.",
                    "To remove them: sudo apt-get remove nginx certbot ; sudo certbot delete --cert-name NAME",
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002
        """Each file as it was, links first, tried by nginx on a copy; then nginx loads them; then the commands."""
        if facts.done:
            return ()
        places = [
            Place(
                path,
                back.node,
                f"put {posixpath.basename(path)} back as it was"
                if back.node != ABSENT
                else f"remove {posixpath.basename(path)}; it was not there before",
            )
            for path, back in reversed(self._before.items())
            if facts.nodes[path] != back.node and not self._edited(path, facts.nodes[path])
        ]
        commands = [
            Run(argv, _plain(why), seconds=60)
            for argv, why in reversed(self._commands.items())
            if argv and not _loads(argv)
        ]
        served = {each.path: each.node for each in places if each.path.startswith(f"{tree.FOLDER}/")}
        loads = facts.running and bool(served or any(map(_loads, self._commands)))
        done = Stamp(DONE, File(self._run.encode(), 0o600), "which run was undone")
        if not places and not commands and not loads:
            return (done,)
        changes: list[Change] = [
            Stamp(path, ABSENT, "forget what was seen then") for path in dict.fromkeys((*self._stamps, loading.STAMP))
        ]
        if loads:
            changes.append(Probe(trial.Trial(served), "have nginx try on a copy what was there before"))
        changes += places
        if loads:
            changes.append(loading.reload(facts.pid, systemd=facts.unit))
            both = ((AVAILABLE, facts.site), (cookies.GATE_FILE, facts.gate))
            stands = [_text(served.get(path, now)) for path, now in both]
            if all(stands):
                loaded = File(digests.digest(*stands).encode(), 0o600)
                changes.append(Stamp(loading.STAMP, loaded, "what nginx has loaded"))
        return [*changes, *commands, done]

    def _edited(self, path: str, now: Node) -> bool:
        return now not in (self._before[path].node, self._after[path])


class Loaded(site.Site):
    """The site as it stands, by whomever, has been loaded: nothing is written."""

    def plan(self, answers: Answers, facts: SiteFacts) -> Sequence[Change]:  # noqa: ARG002
        """nginx loads what is there, where it has not yet."""
        node = facts.nodes.get(AVAILABLE, ABSENT)
        if not isinstance(node, File):
            return ()
        stamp = digests.digest(node.content.decode("utf-8", "surrogateescape"), facts.gate)
        stale = facts.served is not None and facts.running and facts.shown != facts.served.fingerprint
        return loading.load(facts, stamp) if facts.stamp != stamp or not facts.running or stale else ()


def _loads(argv: Sequence[str]) -> bool:
    return "nginx" in argv and "reload" in argv


def _plain(why: str) -> str:
    """What is taken back for the second time is done again; nobody wants to read how often."""
    return re.sub(r"^(take back: )+", "take back: ", why)


def _certificates(node: Node) -> list[str]:
    text = node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""
    if not text.startswith(tree.HEADER):
        return []
    return re.findall(r"^ *ssl_certificate(?:_key)? ([^;\s]+);", text, re.MULTILINE)


def _still(now: Node, before: Node, after: Node) -> list[Finding]:
    """Whom that run let in, and who stays because the file was edited since."""
    here, then, by_run = (htpasswd.hashes(_text(node)) for node in (now, before, after))
    stay = [name for name in by_run if name not in then and name in here]
    if not stay:
        return []
    return [
        warn(
            "undo.users",
            f"{phrases.listed(stay)} can still sign in.",
            "That run added them, and the users' file was edited since, so it stays as it is.",
            f"If that is not meant: sudo hermes-setup users remove {stay[0]}",
        )
    ]


def _text(node: Node) -> str:
    return node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""


def _users(now: Node, then: Node) -> list[Finding]:
    """Who gets in again, or with which password: nobody should be let in by an undoing without knowing it."""
    here, before = htpasswd.hashes(_text(now)), htpasswd.hashes(_text(then))
    back = [name for name in before if name not in here]
    older = [name for name in before if name in here and here[name] != before[name]]
    found: list[Finding] = []
    if back:
        found.append(
            warn(
                "undo.users",
                f"{phrases.listed(back)} can sign in again, with the password and the cookies from before.",
                "The last run took that away.",
                f"If that is not meant, answer n; or afterwards: sudo hermes-setup users remove {back[0]}",
            )
        )
    if older:
        found.append(
            warn(
                "undo.users",
                f"The passwords from before count again: {phrases.listed(older)}.",
                "The last run gave new ones.",
                f"If that is not meant, answer n; or afterwards: sudo hermes-setup users passwd {older[0]}",
            )
        )
    return found
