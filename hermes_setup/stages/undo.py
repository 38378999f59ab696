"""Undoes the last run: a run like any other, whose plan is that run's before-images.

A path that holds neither what that run placed nor what was there before has been edited since, and is left alone. What is
put back is loaded as it is, no matter who wrote it: nothing is rendered again (`stages/site/existing.py`). Only cookies
are never put back: they were ended because somebody had them.
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
from hermes_setup.stages.site.facts import SITE_FILE
from hermes_setup.stages.users import cookies, htpasswd
from hermes_setup.state import notes, stamps
from hermes_setup.values import dataclass, field, replace


@dataclass(frozen=True)
class Facts:
    """What the paths of that run hold now."""

    nodes: Mapping[str, Node] = field(repr=False)
    undone: bool  # that run is
    pid: str  # nginx's pid file
    running: bool  # nginx
    by_systemd: bool  # nginx runs as systemd's unit
    site: Node = field(repr=False)
    gate: Node = field(repr=False)
    cookies: tuple[str, ...] = field(repr=False)  # random values, for those that are not put back
    missing_certificates: tuple[str, ...] = ()  # that the earlier sites name


class Undo:
    """See the module. `run` is that run's name, `pairs` its (change, undo), oldest first."""

    def __init__(self, run: str, pairs: Sequence[tuple[Change, Change]]) -> None:
        self._run = run
        self._before: dict[str, Place] = {}
        self._after: dict[str, Node] = {}
        self._stamps: dict[str, None] = {}
        self._commands: dict[tuple[str, ...], str] = {}
        for change, undo in pairs:
            match change, undo:
                case Place(path=path, node=node), Place() if not isinstance(node, Folder):
                    self._before.setdefault(path, undo)
                    self._after[path] = node
                case Stamp(path=path), _:
                    self._stamps[path] = None
                case _, Run(argv=argv, why=why):
                    self._commands.pop(argv, None)  # the last time counts: files first, then commands, newest first
                    self._commands[argv] = why

    def in_effect(self, host: Host) -> bool:
        """True when something of that run is still there. A run that failed put its own files back."""
        facts = self._look(host)
        commands = any(not _reloads_nginx(argv) for argv in self._commands)
        files = any(facts.nodes[path] != before.node for path, before in self._before.items())
        return not facts.undone and (commands or files)

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002 - the same for every answer
        """Reads the paths, and which certificates the earlier sites need."""
        return self._look(host)

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002
        """What stays as it is, and why; who can sign in afterwards."""
        if facts.undone:
            return ()
        edited = [path for path in self._before if self._is_edited(path, facts.nodes[path])]
        found = [
            note(
                "undo.edited",
                f"{path} has been edited since that run, so it stays as it is.",
                "What someone else wrote is never thrown away.",
                f"To see what was there before that run: sudo ls {notes.FOLDER}/runs/{self._run}/before",
            )
            for path in edited
        ]
        if htpasswd.USERS_FILE in self._before:
            now, before = facts.nodes[htpasswd.USERS_FILE], self._before[htpasswd.USERS_FILE].node
            if htpasswd.USERS_FILE in edited:
                found += _users_who_stay(now, before, self._after[htpasswd.USERS_FILE])
            else:
                found += _users_let_back_in(now, before)
        if facts.missing_certificates:
            found.append(
                block(
                    "undo.certificate",
                    f"The earlier site's certificate has been deleted: {', '.join(facts.missing_certificates)}.",
                    "nginx would not start with a site that names it.",
                    "Change the domain or the certificate instead, which gets a new one: sudo hermes-setup",
                )
            )
        if any(path in self._before for path in (SITE_FILE, f"{tree.FOLDER}/sites-enabled/{placing.LINK}")):
            found.append(
                note(
                    "undo.stays",
                    "Packages that were installed and certificates that were issued stay.",
                    "They do no harm, and a new certificate would count against the CA's rate limits.",
                    "To remove them: sudo apt-get remove nginx certbot ; sudo certbot delete --cert-name NAME",
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002
        """Each file as it was, links first, tried by nginx on a copy; then nginx loads them; then the commands."""
        if facts.undone:
            return ()
        places = [_with_cookies_ended(each, facts) for each in self._places(facts)]
        commands = [
            Run(argv, _without_repeats(why), seconds=60)
            for argv, why in reversed(self._commands.items())
            if argv and not _reloads_nginx(argv)
        ]
        in_nginx = {each.path: each.node for each in places if each.path.startswith(f"{tree.FOLDER}/")}
        reload = facts.running and bool(in_nginx or any(map(_reloads_nginx, self._commands)))
        done = Stamp(stamps.UNDONE, File(self._run.encode(), 0o600), "which run was undone")
        if not places and not commands and not reload:
            return (done,)
        changes: list[Change] = [
            Stamp(path, ABSENT, "forget what was seen then") for path in dict.fromkeys((*self._stamps, stamps.NGINX))
        ]
        if reload:
            changes.append(Probe(trial.Trial(in_nginx), "have nginx test the earlier configuration on a copy"))
        changes += places
        if reload:
            changes.append(loading.reload(facts.pid, systemd=facts.by_systemd))
            both = ((SITE_FILE, facts.site), (cookies.GATE_FILE, facts.gate))
            texts = [tree.text_of(in_nginx.get(path, now)) for path, now in both]
            if all(texts):
                loaded = File(digests.digest(*texts).encode(), 0o600)
                changes.append(Stamp(stamps.NGINX, loaded, "what nginx has loaded"))
        return [*changes, *commands, done]

    def _look(self, host: Host) -> Facts:
        stamp = host.look(stamps.UNDONE)
        pid = tree.read(host).pid
        running = bool(processes.workers(host, pid).master)
        return Facts(
            nodes={path: host.look(path) for path in self._before},
            undone=isinstance(stamp, File) and stamp.content.decode("utf-8", "replace") == self._run,
            pid=pid,
            running=running,
            by_systemd=running and host.ask(("systemctl", "is-active", "--quiet", "nginx")).ok,
            site=host.look(SITE_FILE),
            gate=host.look(cookies.GATE_FILE),
            cookies=tuple(cookies.make_token() for _ in range(self._cookies_before())),
            missing_certificates=tuple(
                path
                for before in self._before.values()
                for path in _certificate_paths(before.node)
                if isinstance(tree.follow_links(host, path), Absent)
            ),
        )

    def _places(self, facts: Facts) -> list[Place]:
        """What puts back each file that was not edited since, newest first."""
        return [
            Place(
                path,
                before.node,
                f"put {posixpath.basename(path)} back as it was"
                if before.node != ABSENT
                else f"remove {posixpath.basename(path)}; it was not there before",
            )
            for path, before in reversed(self._before.items())
            if facts.nodes[path] != before.node and not self._is_edited(path, facts.nodes[path])
        ]

    def _cookies_before(self) -> int:
        before = self._before.get(cookies.GATE_FILE)
        return len(cookies.parse(tree.text_of(before.node))) if before else 0

    def _is_edited(self, path: str, now: Node) -> bool:
        return now not in (self._before[path].node, self._after[path])


def _with_cookies_ended(place: Place, facts: Facts) -> Place:
    """The gate file put back with fresh values for the cookies that it has no more: who was signed out stays that."""
    if place.path != cookies.GATE_FILE or not isinstance(place.node, File):
        return place
    text, names = cookies.with_ended(tree.text_of(place.node), tree.text_of(facts.gate), facts.cookies)
    node = replace(place.node, content=text.encode("utf-8", "surrogateescape"))
    why = (
        f"{place.why}, but for the cookies of {phrases.listed(names)}: the earlier ones stay invalid"
        if names
        else place.why
    )
    return Place(place.path, node, why)


def _reloads_nginx(argv: Sequence[str]) -> bool:
    return "nginx" in argv and "reload" in argv


def _without_repeats(why: str) -> str:
    """The why of an undo of an undo, which does the same again, without saying how often."""
    return re.sub(r"^(take back: )+", "take back: ", why)


def _certificate_paths(node: Node) -> list[str]:
    """The files of certificates and keys that a site of ours names."""
    text = tree.text_of(node)
    if not text.startswith(tree.HEADER):
        return []
    return re.findall(r"^ *ssl_certificate(?:_key)? ([^;\s]+);", text, re.MULTILINE)


def _users_who_stay(now: Node, before: Node, after: Node) -> list[Finding]:
    """Those whom that run added, and who stay because the users' file was edited since."""
    hashes_now, hashes_before, hashes_after = (htpasswd.hashes(tree.text_of(node)) for node in (now, before, after))
    stay = [name for name in hashes_after if name not in hashes_before and name in hashes_now]
    if not stay:
        return []
    return [
        warn(
            "undo.users",
            f"{phrases.listed(stay)} can still sign in.",
            "That run added them, but the users' file has been edited since, so it stays as it is.",
            f"If you don't want that: sudo hermes-setup users remove {stay[0]}",
        )
    ]


def _users_let_back_in(now: Node, before: Node) -> list[Finding]:
    """Who can sign in again, or with which password: an undo lets no one in without saying so."""
    hashes_now, hashes_before = htpasswd.hashes(tree.text_of(now)), htpasswd.hashes(tree.text_of(before))
    back = [name for name in hashes_before if name not in hashes_now]
    older = [name for name in hashes_before if name in hashes_now and hashes_now[name] != hashes_before[name]]
    found: list[Finding] = []
    if back:
        found.append(
            warn(
                "undo.users",
                f"{phrases.listed(back)} can sign in again, with the earlier password.",
                "The last run had removed them.",
                f"If you don't want that, answer n; or afterwards: sudo hermes-setup users remove {back[0]}",
            )
        )
    if older:
        found.append(
            warn(
                "undo.users",
                f"The earlier password is valid again for {phrases.listed(older)}.",
                "The last run had set a new one.",
                f"If you don't want that, answer n; or afterwards: sudo hermes-setup users passwd {older[0]}",
            )
        )
    return found
