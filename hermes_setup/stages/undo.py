"""What the last run changed, put back: a run like any other, whose plan is the before-images of that one.

A path that holds neither what that run left there nor what was there before has been edited since, and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hermes_setup import accounts, nginx
from hermes_setup.answers import Answers
from hermes_setup.changes import Change, Place, Run, Stamp, Until
from hermes_setup.findings import Finding, note, warn
from hermes_setup.host import ABSENT, File, Folder, Host, Node
from hermes_setup.state import STATE

DONE = f"{STATE}/stamps/undone"
"""The name of the run that was put back last."""


@dataclass(frozen=True)
class Facts:
    """What the paths of that run hold now."""

    nodes: Mapping[str, Node] = field(repr=False)
    done: bool
    pid: str


class Undo:
    """See the module. `run` is that run's name, `pairs` its (change, way back), oldest first."""

    name = "undo"
    title = "Undo the last run"

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
        """Reads the paths."""
        stamp = host.look(DONE)
        done = isinstance(stamp, File) and stamp.content.decode("utf-8", "replace") == self._run
        return Facts({path: host.look(path) for path in self._before}, done, nginx.read(host).pid)

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002
        """What stays as it is, and why."""
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
        if accounts.USERS_FILE in self._before and accounts.USERS_FILE not in edited:
            found += _users(facts.nodes[accounts.USERS_FILE], self._before[accounts.USERS_FILE].node)
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
        """Each file as it was, links first; then nginx tries and loads them; then the commands that take back commands."""
        if facts.done:
            return ()
        changes: list[Change] = [
            Place(
                path, back.node, "as it was before the last run" if back.node != ABSENT else "it was not there before"
            )
            for path, back in reversed(self._before.items())
            if facts.nodes[path] != back.node and not self._edited(path, facts.nodes[path])
        ]
        commands = list(reversed(self._commands.items()))
        if not changes and not commands:
            return ()
        changes += [Stamp(path, ABSENT, "forget what was seen then") for path in self._stamps]
        if any("nginx" in argv for argv, _ in commands):
            changes.append(
                Run(
                    ("nginx", "-t", "-q"), "have nginx try what is there now", hint="Look at: sudo nginx -t", seconds=60
                )
            )
        for argv, why in commands:
            until = None
            if argv[-1] == "reload" or argv[1:] == ("reload", "nginx"):
                until = Until(
                    "nginx's new workers answer",
                    before=lambda host: nginx.workers(host, facts.pid),
                    holds=lambda host, before: nginx.reloaded(before, nginx.workers(host, facts.pid)),
                    hint="Look at: sudo nginx -t; sudo tail /var/log/nginx/error.log",
                )
            changes.append(Run(argv, why, undo_argv=argv if until else (), until=until, seconds=60))
        return [*changes, Stamp(DONE, File(self._run.encode(), 0o600), "which run was undone")]

    def _edited(self, path: str, now: Node) -> bool:
        return now not in (self._before[path].node, self._after[path])


def _users(now: Node, then: Node) -> list[Finding]:
    """Who gets in again, or with which password: nobody should be let in by an undoing without knowing it."""
    here, before = (
        accounts.hashes(node.content.decode("utf-8", "surrogateescape")) if isinstance(node, File) else {}
        for node in (now, then)
    )
    back = [name for name in before if name not in here]
    older = [name for name in before if name in here and here[name] != before[name]]
    found: list[Finding] = []
    if back:
        found.append(
            warn(
                "undo.users",
                f"{accounts.named(back)} can sign in again, with the password and the cookies from before.",
                "The last run took that away.",
                f"If that is not meant, answer n; or afterwards: sudo hermes-setup users remove {back[0]}",
            )
        )
    if older:
        found.append(
            warn(
                "undo.users",
                f"The passwords from before count again: {accounts.named(older)}.",
                "The last run gave new ones.",
                f"If that is not meant, answer n; or afterwards: sudo hermes-setup users passwd {older[0]}",
            )
        )
    return found
