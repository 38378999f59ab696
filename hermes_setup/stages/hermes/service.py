"""Hermes's dashboard as a service of systemd: for an installation that nobody runs.

The unit has the name that later versions of `hermes update` restart. Hermes's own installer puts the command at
/usr/local/bin (root's) or ~/.local/bin, the program below /usr/local/lib or ~/.hermes, and a Node.js of its own into
~/.hermes/node (0.19.0: hermes_constants.py, hermes_cli/uninstall.py). Its chat needs Node.js 20 or later.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

from hermes_setup.answers.fields import DEFAULT_BACKEND, Backend
from hermes_setup.engine.changes import Change, Place, Run, Until
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import Absent, File, Folder, Host, Link
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.values import dataclass, replace

NAME = "hermes-dashboard.service"
UNITS = "/etc/systemd/system"
UNIT = f"{UNITS}/{NAME}"
WANTED = f"{UNITS}/multi-user.target.wants/{NAME}"
GIVES = "hermes dashboard"
NODE = 20
PORT = DEFAULT_BACKEND.port
SECONDS = 60.0
"""How long its first start may take: it loads some hundred modules, on a small server from a cold disk."""

SHARED = ("/usr/local/bin/hermes", "/usr/bin/hermes", "/opt/hermes/bin/hermes")


@dataclass(frozen=True)
class Installation:
    """A Hermes on this machine, and whose it is."""

    program: str
    user: str
    home: str
    node: str = ""  # the version of the Node.js that it would find, "" for none

    @property
    def usable(self) -> bool:
        """True when a unit can name it (systemd.service(5) gives other characters a meaning of their own)."""
        return re.fullmatch(r"[\w./@+~ -]+", f"{self.program}{self.home}", re.ASCII) is not None

    @property
    def path(self) -> str:
        """The PATH it is given: its own Node.js first."""
        return f"{self.home}/.hermes/node/bin:{self.home}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Facts:
    """What there is to run, and what runs it. `chosen` is the one that is run; None where that cannot be known."""

    found: tuple[Installation, ...]
    chosen: Installation | None
    systemd: bool
    unit: File | None  # the file of that name, whoever wrote it
    elsewhere: bool  # something else is at its place: a link, or a unit of a package
    wanted: bool
    reloaded: bool  # what systemd runs is the file as it is
    active: bool

    @property
    def ours(self) -> bool:
        """True when the unit is ours, or there is none."""
        return not self.elsewhere and (self.unit is None or _is_ours(self.unit))


def look(host: Host) -> Facts:
    """What is installed, and its unit. Starts `node --version`, as the user whose Hermes it is."""
    node = host.look(UNIT)
    shown = host.ask(
        ("systemctl", "show", NAME, "--property=ActiveState,NeedDaemonReload,FragmentPath", "--no-pager")
    ).out
    found = find(host)
    if isinstance(node, File) and _is_ours(node):
        chosen = _kept(host, node.content.decode("utf-8", "replace"))
    else:
        chosen = found[0] if len(found) == 1 and found[0].user else None
    return Facts(
        found,
        _with_node(host, chosen) if chosen else None,
        _systemd(host),
        node if isinstance(node, File) else None,
        not isinstance(node, File | Absent) or bool(re.search(rf"^FragmentPath=(?!{UNIT}$)/", shown, re.MULTILINE)),
        isinstance(host.look(WANTED), Link),
        "NeedDaemonReload=no" in shown,
        host.given(GIVES) or "ActiveState=active" in shown,
    )


def left(host: Host) -> bool:
    """True when there is a unit of ours."""
    node = host.look(UNIT)
    return isinstance(node, File) and _is_ours(node)


def _is_ours(unit: File) -> bool:
    return unit.content.startswith(tree.HEADER.encode())


def _kept(host: Host, unit: str) -> Installation | None:
    """What our own unit runs, as long as it is there: nobody else's program takes its place. None where it is gone."""
    user = re.search(r"^User=(.+)$", unit, re.MULTILINE)
    program = re.search(r'^ExecStart=(?:"([^"]+)"|(\S+)) dashboard ', unit, re.MULTILINE)
    if not user or not program:
        return None
    path, home = program[1] or program[2], _homes(host).get(user[1])
    return Installation(path, user[1], home) if home and _program(host, path) else None


def idle(host: Host) -> Installation | None:
    """The installation that could be made a service; None where there is none or more, no systemd, or a unit of that name."""
    if not _systemd(host) or not isinstance(host.look(UNIT), Absent):
        return None
    found = find(host)
    return found[0] if len(found) == 1 and found[0].user and found[0].usable else None


def there(host: Host, port: int | None = None) -> str:
    """The unit that would run a dashboard (on that port), without its ".service"; "" for none.

    Looks at the units that were made on this machine, whoever wrote them; one of the usual name may start what it likes.
    """
    if not _systemd(host):
        return ""
    names = (name for name in host.names(UNITS) if name.endswith(".service") and "@" not in name)
    for name in sorted(names, key=lambda name: (name != NAME, name)):
        node = host.look(f"{UNITS}/{name}")
        if isinstance(node, Link):  # `systemctl link`; one that is masked leads to /dev/null
            node = host.look(node.target)
        text = node.content.decode("utf-8", "replace") if isinstance(node, File) else ""
        starts = " ".join(re.findall(r"^ExecStart=(.*)$", text.replace("\\\n", " "), re.MULTILINE))
        known = re.search(r"hermes.*\bdashboard\b", starts)
        at = re.findall(r"--port[ =](\d{1,5})", starts) or ([str(PORT)] if known else [])
        if (known or (name == NAME and starts)) and (port is None or not at or int(at[-1]) == port):
            return name.removesuffix(".service")
    return ""


def _systemd(host: Host) -> bool:
    return isinstance(host.look("/run/systemd/system"), Folder)


def find(host: Host) -> tuple[Installation, ...]:
    """Every Hermes in the usual places, of people and shared ones; one of a person's own that is the shared one counts once.

    A shared one is its owner's. Where that is root it is used by the one person who has a ~/.hermes; `user` is "" where
    several have one. It is root's own where nobody has.
    """
    found: list[Installation] = []
    for user, home, shell in people(host):
        own = (f"{home}/.local/bin/hermes", f"{home}/.hermes/hermes-agent/venv/bin/hermes")
        if user == "root" or not shell.endswith(("/nologin", "/false")):
            there = [path for path in own if (program := _program(host, path)) and _may_run(host, user, program)]
            found += [Installation(path, user, home) for path in there[:1]]
    homes = _homes(host)
    ends: set[str] = set()
    for path in SHARED:
        program = _program(host, path)
        if not program or program[0] in ends:
            continue
        ends.add(program[0])
        owner = _owner(host, program)
        if owner == "root":
            holders = [user for user, home, _ in people(host) if isinstance(host.look(f"{home}/.hermes"), Folder)]
            owner = "root" if not holders else holders[0] if len(holders) == 1 else ""
        if all(each.user != owner for each in found):
            found.append(Installation(path, owner, homes.get(owner, "/")))
    return tuple(found)


def people(host: Host) -> list[tuple[str, str, str]]:
    """(name, home, shell) of root and of each user who is a person (login.defs(5): UID_MIN, UID_MAX)."""
    return [
        (name, home, shell) for name, uid, home, shell in _accounts(host) if int(uid) == 0 or 1000 <= int(uid) < 60000
    ]


def _homes(host: Host) -> dict[str, str]:
    """Of everybody, programs' own users too."""
    return {name: home for name, _, home, _ in _accounts(host)}


def _accounts(host: Host) -> list[tuple[str, str, str, str]]:
    passwd = host.look("/etc/passwd")
    lines = passwd.content.decode("utf-8", "replace").splitlines() if isinstance(passwd, File) else []
    fields = [each for line in lines if len(each := line.split(":")) == 7 and each[2].isdigit()]
    return [(each[0], each[2], each[5], each[6]) for each in fields]


def _program(host: Host, path: str) -> tuple[str, File] | None:
    """Where the links of that path end, if that is a file that can be run."""
    hops = 10
    while isinstance(node := host.look(path), Link) and hops:
        path, hops = tree.link_target(path, node), hops - 1
    return (path, node) if isinstance(node, File) and node.mode & 0o111 else None


def _owner(host: Host, program: tuple[str, File]) -> str:
    """Who can exchange the program: its owner, or where that is root that of the first folder above which is not."""
    path, file = program
    owners = [file.owner]
    while path != "/":
        path = posixpath.dirname(path)
        owners += [node.owner] if isinstance(node := host.look(path), Folder) else []
    return next((owner for owner in owners if owner != "root"), "root")


def _may_run(host: Host, user: str, program: tuple[str, File]) -> bool:
    """False for a program in root's home that somebody else could exchange: root would run it."""
    return user != "root" or _owner(host, program) == "root"


def _with_node(host: Host, installed: Installation) -> Installation:
    told = host.ask(("runuser", "-u", installed.user, "--", "env", f"PATH={installed.path}", "node", "--version"))
    version = told.out.strip().lstrip("v") if told.ok else ""
    return Installation(installed.program, installed.user, installed.home, version)


def check(facts: Facts, at: Backend, *, running: bool) -> Sequence[Finding]:
    """What is in the way of the service, or of the chat in it. `running`: Hermes answers here, whoever runs it."""
    if not at.local:
        return [
            block(
                "service.remote",
                f"Hermes is to run as a service here, and the answers name another machine for it: {at}.",
                "A service of this server cannot listen there.",
                f'Take one of the two out of the answers: service = true, or backend = "{at}".',
            )
        ]
    if running and not (facts.unit and facts.ours and facts.active):
        return [
            note(
                "service.running",
                "Hermes runs already, so no service is made for it.",
                "Two of them would be two dashboards.",
                "Nothing to do if it starts at boot, too. Else stop it, and run this again.",
            )
        ]
    if not facts.systemd:
        return [
            warn(
                "service.no-systemd",
                "There is no systemd here, so Hermes cannot be made a service.",
                "service = true in the answers asks for it.",
                "Start Hermes from where you start this machine.",
            )
        ]
    if not facts.ours:
        return [
            note(
                "service.foreign",
                f"There is a {NAME} already that this program did not write, so it is left as it is.",
                "It may do what is wanted, or be broken.",
                f"Look at it: systemctl status {NAME} ; start it: sudo systemctl enable --now {NAME}",
            )
        ]
    if facts.chosen is None and facts.unit is not None:
        return [
            block(
                "service.lost",
                f"{NAME} runs a Hermes, or as a user, that is not there any more.",
                "No other program takes its place by itself: that might be anybody's.",
                f"Install it again. Or let the service go, and run this again: sudo systemctl disable --now {NAME} ; sudo rm {UNIT}",
            )
        ]
    if not facts.found and facts.chosen is None:
        return [
            warn(
                "service.not-installed",
                "No Hermes is found on this server, so no service can be made of it.",
                "Looked for: ~/.local/bin/hermes and ~/.hermes/hermes-agent/venv/bin/hermes of each user, "
                f"{', '.join(SHARED)}.",
                "Install Hermes, then run this again.",
            )
        ]
    if facts.chosen is None:
        names = ", ".join(f"{each.program} (of {each.user or 'nobody in particular'})" for each in facts.found)
        return [
            block(
                "service.several",
                f"Whose Hermes is to run as a service cannot be known: {names}.",
                "The one that runs decides what everybody sees who signs in, so none is chosen for you.",
                "Take away those that are not meant (or the ~/.hermes of those who do not use it). Or write the unit yourself: "
                f"sudo systemctl edit --full --force {NAME}",
            )
        ]
    installed = facts.chosen
    if not installed.usable:
        return [
            warn(
                "service.odd-path",
                f"A unit of systemd cannot name {installed.program}: there are odd characters in it.",
                "So no service is made of this Hermes.",
                "Install it elsewhere, below /opt for one; or start it yourself.",
            )
        ]
    found: list[Finding] = []
    if installed.user == "root":
        found.append(
            warn(
                "service.root",
                f"Hermes runs as root: {installed.program} is root's, and no user has a ~/.hermes.",
                "Whoever signs in to the dashboard can then do everything on this server.",
                "Better: a user of its own for it (sudo adduser hermes), and Hermes installed there.",
            )
        )
    major = re.match(r"\d+", installed.node)
    if not major or int(major[0]) < NODE:
        have = f"Node.js {installed.node}" if installed.node else "no Node.js"
        found.append(
            warn(
                "service.node",
                f"Hermes of {installed.user} finds {have}; its chat needs {NODE} or later.",
                "The dashboard works without; the chat in it stays empty or ends at once.",
                f"Put Node.js {NODE} or later where {installed.user} finds it (Debian 13: sudo apt-get install nodejs; "
                f"elsewhere: https://nodejs.org/en/download), then: sudo systemctl restart {NAME}",
            )
        )
    return found


def plan(
    facts: Facts, at: Backend, answers: Callable[[Host], bool], renderer: Renderer, *, running: bool
) -> Sequence[Change]:
    """The unit is there, is started now and at each boot, and Hermes answers, as `answers` has it."""
    installed = facts.chosen
    if not facts.systemd or not installed or not installed.usable or not facts.ours or not at.local:
        return ()
    if running and not (facts.unit and facts.active):  # somebody runs it otherwise: two would be two dashboards
        return ()
    text = File(unit(installed, at, renderer).encode())
    changes: list[Change] = []
    if facts.unit != text:
        changes.append(Place(UNIT, text, f"run Hermes's dashboard as a service, as {installed.user}"))
    if not facts.wanted:
        changes.append(Place(WANTED, Link(UNIT), "start it at each boot"))
    read = Run(("systemctl", "daemon-reload"), "have systemd read it", undo_argv=("systemctl", "daemon-reload"))
    starts = not facts.active or facts.unit != text
    if changes or not facts.reloaded:
        changes.append(replace(read, undo_argv=()) if facts.active and starts else read)
    if starts:
        started = Until(
            f"Hermes answers at {at}",
            lambda _host: None,
            lambda host, _before: host.ask(("systemctl", "is-active", NAME)).ok and answers(host),
            SECONDS,
            f"See why: sudo journalctl -u {NAME} -n 50",
        )
        verb, back = ("restart", "restart") if facts.active else ("start", "stop")
        changes.append(
            Run(
                ("systemctl", verb, NAME),
                "start Hermes, and wait until it answers",
                gives=GIVES,
                undo_argv=("systemctl", back, NAME),
                until=started,
            )
        )
        if facts.active:  # the ways back go from the last to the first: systemd reads the old unit, then restarts by it
            changes.append(replace(read, why="have systemd read it once more"))
    return changes


def unit(installed: Installation, at: Backend, renderer: Renderer) -> str:
    """The unit's text. Restart=always: an update ends the dashboard in good order, and means it to come back."""
    return renderer.render(
        "hermes-dashboard.service",
        program=f'"{installed.program}"' if " " in installed.program else installed.program,
        user=installed.user,
        home=installed.home,
        path=installed.path,
        address=at.address,
        port=at.port,
    )
