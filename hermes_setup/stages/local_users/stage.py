"""Only root, nginx, Hermes and the users that the answers name reach Hermes's port on this server; where that is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import DEFAULT_BACKEND, Backend
from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import ABSENT, Absent, File, Host, Link, Node, Ran, Replaceable, has_systemd
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.phrases import all_of
from hermes_setup.replaceable import cure
from hermes_setup.stages.hermes import unix_users, upstream
from hermes_setup.stages.local_users import table
from hermes_setup.stages.local_users.table import User
from hermes_setup.values import dataclass

GIVES = "local users: "
RELOAD = ("systemctl", "daemon-reload")
SECONDS = 30.0


@dataclass(frozen=True)
class Facts:
    """Who reaches the port if the answers have their way, and what is there now."""

    users: tuple[User, ...] = ()
    unknown: tuple[str, ...] = ()  # names in the answers that this machine does not have
    at: Backend = DEFAULT_BACKEND
    listing: Ran = Ran(127, "", "")  # of the table
    loaded: str = ""  # the mark of the rule that is loaded
    systemd: bool = True
    file: Node = ABSENT
    program: str = ""  # nft
    replaceable: tuple[Replaceable, ...] = ()  # what others than root can replace of the file, and on the way to it
    unit_file: Node = ABSENT
    links: tuple[Node, ...] = (ABSENT,) * len(table.LINKS)
    active: bool = False  # the unit; True in a forecast that took its start as done
    reloaded: bool = True  # what systemd would run is the unit as it is

    @property
    def left(self) -> bool:
        """True where something of ours is there."""
        return any(node != ABSENT for node in (self.file, self.unit_file, *self.links)) or bool(self.loaded)


class LocalUsers:
    """See the module."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Asks nft, systemd, and where Hermes is; the last only where the table is wanted."""
        file = host.look(table.FILE)
        wanted = answers.local_users is not None
        if not wanted and file == ABSENT and host.look(table.UNIT) == ABSENT:
            return Facts()
        hermes = upstream.look(answers, host) if wanted else None
        at = hermes.at if hermes else DEFAULT_BACKEND
        users, unknown = _users(answers, host, hermes.runs_as(answers) if hermes else "")
        listing = table.listing(host)
        shown = host.ask(("systemctl", "show", table.NAME, "--property=ActiveState,NeedDaemonReload", "--no-pager"))
        mark = table.mark(users, at)
        assumed, dropped = host.given(GIVES + mark), host.given(GIVES)
        return Facts(
            users,
            unknown,
            at,
            listing,
            mark if assumed else "" if dropped else table.loaded_mark(listing),
            has_systemd(host),
            file,
            table.program(host),
            host.replaceable(table.FILE),
            host.look(table.UNIT),
            tuple(map(host.look, table.LINKS)),
            assumed or ("ActiveState=active" in shown.out and not dropped),
            assumed or "NeedDaemonReload=yes" not in shown.out,
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Everybody who is named is there, nft can do it, and what was loaded is loaded still."""
        if answers.local_users is None:
            return ()
        if facts.replaceable:
            return [_replaceable(facts.replaceable)]
        if facts.unknown:
            return [_unknown(facts.unknown)]
        if facts.listing.code == 127:
            return [_no_nftables()]
        if _denied(facts.listing):
            return [_refused(facts.listing)]
        found = []
        if isinstance(facts.file, File) and not facts.loaded:
            found.append(_not_loaded())
        if not facts.systemd:
            found.append(_not_kept())
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """The table is loaded, now and at each boot; or nothing of it is left."""
        if answers.local_users is None:
            return _removal(facts) if facts.left else ()
        if facts.replaceable or facts.unknown or facts.listing.code == 127 or _denied(facts.listing):
            return ()
        who = table.named(facts.users)
        file = File(table.text(facts.users, facts.at, self._renderer).encode())
        changes: list[Change] = []
        if facts.file != file:
            why = f"let only {who} reach Hermes's port {facts.at.port} on this server: no other user can, not even through ssh -L"
            changes.append(Place(table.FILE, file, why))
        unit_file = File(table.unit_text(facts.program, self._renderer).encode())
        placed: list[Change] = []
        if facts.systemd and facts.unit_file != unit_file:
            placed.append(Place(table.UNIT, unit_file, "load that at each boot, ahead of the network"))
        for path, node in zip(table.LINKS, facts.links, strict=True):
            if facts.systemd and node != Link(table.UNIT):
                also = "again whenever nftables starts" if "nftables" in path else "at each boot"
                placed.append(Place(path, Link(table.UNIT), f"start it {also}"))
        mark = table.mark(facts.users, facts.at)
        if placed or not facts.reloaded:
            placed.append(Run(RELOAD, "have systemd read it", undo_argv=RELOAD))
        if changes or placed or facts.loaded != mark or (facts.systemd and not facts.active):
            placed.append(_load(facts, mark))
        return (*changes, *placed)


def _load(facts: Facts, mark: str) -> Run:
    """The table is loaded as its file has it. To undo it loads the file of before, or drops the table where there was none."""
    # a restart would drop the table for a moment; a reload puts the new one in its place at once (nft(8), -f)
    start = ("systemctl", "reload-or-restart", table.NAME) if facts.systemd else table.LOAD
    stop = ("systemctl", "stop", table.NAME) if facts.systemd else table.DROP
    before = isinstance(facts.file, File)
    return Run(
        start,
        "load it, which ends other users' connections to Hermes",
        gives=GIVES + mark,
        undo_argv=start if before else stop,
        seconds=SECONDS,
        hint=f"See why: sudo nft -c -f {table.FILE}",
    )


def _removal(facts: Facts) -> Sequence[Change]:
    """Every user of this server reaches the port again."""
    stop: tuple[str, ...] = table.DROP
    start: tuple[str, ...] = table.LOAD
    if facts.systemd and facts.unit_file != ABSENT:
        stop, start = ("systemctl", "stop", table.NAME), ("systemctl", "start", table.NAME)
    changes: list[Change] = []
    if facts.loaded or facts.active:
        why = f"let every user of this server reach Hermes's port again: {table.FILE} is not wanted any more"
        changes.append(Run(stop, why, gives=GIVES, undo_argv=start, seconds=SECONDS))
    paths = zip((*table.LINKS, table.UNIT, table.FILE), (*facts.links, facts.unit_file, facts.file), strict=True)
    gone = [Place(path, ABSENT, f"remove {path}") for path, node in paths if not isinstance(node, Absent)]
    changes += gone
    if facts.systemd and any(place.path != table.FILE for place in gone):
        changes.append(Run(RELOAD, "have systemd forget it", undo_argv=RELOAD))
    return changes


def _users(answers: Answers, host: Host, hermes: str) -> tuple[tuple[User, ...], tuple[str, ...]]:
    """Who reaches the port, and the names among the answers' that this machine does not have. `hermes`: whom it runs as."""
    nginx = tree.read(host)
    roles = {"root": "", (nginx if nginx.files else tree.DEBIAN_DEFAULT).user: "nginx", hermes: "Hermes"}
    names = tuple(dict.fromkeys((*roles, *(answers.local_users or ()))))
    uids = unix_users.uids(host, [name for name in names if name])
    users = tuple(User(name, uids[name], roles.get(name, "")) for name in names if name in uids)  # type: ignore[arg-type]
    return users, tuple(name for name in answers.local_users or () if name not in uids)


def _denied(ran: Ran) -> bool:
    """True where nft may not look, as in a container without rights of its own; it also fails where there is no such table."""
    return not ran.ok and bool(re.search(r"not permitted|permission denied|must be root|not supported", ran.err, re.I))


def _replaceable(found: Sequence[Replaceable]) -> Finding:
    return block(
        "local-users.replaceable",
        f"Users other than root can replace {table.FILE}: {', '.join(map(str, found[:3]))}.",
        "root loads that file at each boot, so they would decide who reaches Hermes, and what else of nftables there is.",
        f"Make it root's: {cure(found, f'ls -ld {table.FOLDER}')}",
    )


def _unknown(names: Sequence[str]) -> Finding:
    return block(
        "local-users.unknown",
        f"local_users names {all_of(names)}, and this server has no such user.",
        "It lists users of this server, as `id NAME` knows them, not those who sign in to the site.",
        "Correct the list in the answers, or create the user: sudo adduser NAME",
    )


def _no_nftables() -> Finding:
    return block(
        "local-users.no-nftables",
        "nftables is not installed, and local_users needs it.",
        "Without it, every user of this server can reach Hermes without a password. It isn't installed unasked: it is the "
        "firewall of many servers.",
        "Install it: sudo apt-get install nftables ; or take local_users out of the answers.",
    )


def _refused(ran: Ran) -> Finding:
    return block(
        "local-users.refused",
        "nftables can't be used here, and local_users needs it.",
        "In a container, the rules may belong to the host around it.",
        "Take local_users out of the answers, and give logins on this server only to people you trust with Hermes.",
        ran.err.strip()[:300],
    )


def _not_loaded() -> Finding:
    return warn(
        "local-users.not-loaded",
        "Every user of this server can reach Hermes: the rules that keep them out are not loaded.",
        "Something emptied all of nftables' tables (nft flush ruleset), or stopped nftables.",
        f"Load them again: sudo systemctl reload-or-restart {table.NAME.removesuffix('.service')}",
    )


def _not_kept() -> Finding:
    return note(
        "local-users.not-kept",
        "systemd does not run here, so nothing loads the rules for local_users after a restart.",
        "Until they are loaded, every user of this server can reach Hermes.",
        f"Have whatever starts this machine run: nft -f {table.FILE}",
    )
