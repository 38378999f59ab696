"""Hermes's dashboard as a service of systemd: for an installation that nobody runs.

The unit has the name that later versions of `hermes update` restart. Hermes's own installer puts the command at
/usr/local/bin (root's) or ~/.local/bin, the program below /usr/local/lib or ~/.hermes, and a Node.js of its own into
~/.hermes/node (0.19.0: hermes_constants.py, hermes_cli/uninstall.py). Its chat needs Node.js 20 or later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hermes_setup import nginx
from hermes_setup.answers import DEFAULT_BACKEND, Backend
from hermes_setup.changes import Change, Place, Run, Until
from hermes_setup.findings import Finding, note, warn
from hermes_setup.host import Absent, File, Folder, Host, Link, Request

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
    def path(self) -> str:
        """The PATH it is given: its own Node.js first."""
        return f"{self.home}/.hermes/node/bin:{self.home}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Facts:
    """What there is to run, and what runs it."""

    found: tuple[Installation, ...]
    systemd: bool
    unit: File | None  # the file of that name, whoever wrote it
    elsewhere: bool  # something else is at its place: a link, or a unit of a package
    wanted: bool
    reloaded: bool  # what systemd runs is the file as it is
    active: bool

    @property
    def ours(self) -> bool:
        """True when the unit is ours, or there is none."""
        return not self.elsewhere and (self.unit is None or self.unit.content.startswith(nginx.OURS.encode()))


def look(host: Host) -> Facts:
    """What is installed, and its unit. Starts `node --version`, as the user whose Hermes it is."""
    node = host.look(UNIT)
    shown = host.ask(
        ("systemctl", "show", NAME, "--property=ActiveState,NeedDaemonReload,FragmentPath", "--no-pager")
    ).out
    return Facts(
        tuple(_with_node(host, each) for each in find(host)),
        _systemd(host),
        node if isinstance(node, File) else None,
        not isinstance(node, File | Absent) or bool(re.search(rf"^FragmentPath=(?!{UNIT}$)/", shown, re.MULTILINE)),
        isinstance(host.look(WANTED), Link),
        "NeedDaemonReload=no" in shown,
        host.given(GIVES) or "ActiveState=active" in shown,
    )


def idle(host: Host) -> Installation | None:
    """An installation that could be made a service; None where there is none, or no systemd, or a unit of that name."""
    if not _systemd(host) or not isinstance(host.look(UNIT), Absent):
        return None
    return next(iter(find(host)), None)


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
    """Every Hermes in the usual places, those of people before the shared ones; none twice."""
    homes = {name: home for name, home, _ in people(host)}
    found: list[Installation] = []
    for user, home in homes.items():
        for program in (f"{home}/.local/bin/hermes", f"{home}/.hermes/hermes-agent/venv/bin/hermes"):
            if _runs(host, program) and all(each.user != user for each in found):
                found.append(Installation(program, user, home))
    owners = [user for user, home in homes.items() if isinstance(host.look(f"{home}/.hermes"), Folder)]
    for program in SHARED:
        if _runs(host, program) and not found:
            user = owners[0] if len(owners) == 1 else "root"
            found.append(Installation(program, user, homes.get(user, "/root")))
    return tuple(each for each in found if re.fullmatch(r"[\w./-]+", f"{each.program}{each.home}", re.ASCII))


def people(host: Host) -> list[tuple[str, str, str]]:
    """(name, home, shell) of root and of each user who is a person (login.defs(5): UID_MIN, UID_MAX)."""
    passwd = host.look("/etc/passwd")
    lines = passwd.content.decode("utf-8", "replace").splitlines() if isinstance(passwd, File) else []
    fields = [each for line in lines if len(each := line.split(":")) == 7 and each[2].isdigit()]
    return [(each[0], each[5], each[6]) for each in fields if int(each[2]) == 0 or 1000 <= int(each[2]) < 60000]


def _runs(host: Host, program: str) -> bool:
    node = host.look(program)
    return isinstance(node, Link) or (isinstance(node, File) and bool(node.mode & 0o111))


def _with_node(host: Host, installed: Installation) -> Installation:
    told = host.ask(("runuser", "-u", installed.user, "--", "env", f"PATH={installed.path}", "node", "--version"))
    version = told.out.strip().lstrip("v") if told.ok else ""
    return Installation(installed.program, installed.user, installed.home, version)


def check(facts: Facts, *, running: bool) -> Sequence[Finding]:
    """What is in the way of the service, or of the chat in it. `running`: Hermes answers, whoever runs it."""
    if running and not (facts.unit and facts.ours):
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
    if not facts.found:
        return [
            warn(
                "service.not-installed",
                "No Hermes is found on this server, so no service can be made of it.",
                f"Looked for: ~/.local/bin/hermes of each user, {', '.join(SHARED)}.",
                "Install Hermes, then run this again.",
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
    installed = facts.found[0]
    found: list[Finding] = []
    if len(facts.found) > 1:
        others = ", ".join(f"{each.program} (of {each.user})" for each in facts.found[1:])
        found.append(
            note(
                "service.several",
                f"There are {len(facts.found)} installations of Hermes; the service runs {installed.program} as {installed.user}.",
                f"The others: {others}.",
                f"If another one is meant: sudo systemctl edit --full {NAME}, after this run; the file is then yours.",
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


def plan(facts: Facts, at: Backend, *, running: bool) -> Sequence[Change]:
    """The unit is there, is started now and at each boot, and Hermes answers."""
    if not facts.systemd or not facts.found or not facts.ours or (running and facts.unit is None):
        return ()
    installed = facts.found[0]
    text = File(unit(installed, at).encode())
    changes: list[Change] = []
    if facts.unit != text:
        changes.append(Place(UNIT, text, f"run Hermes's dashboard as a service, as {installed.user}"))
    if not facts.wanted:
        changes.append(Place(WANTED, Link(UNIT), "start it at each boot"))
    if changes or not facts.reloaded:
        reload = ("systemctl", "daemon-reload")
        changes.append(Run(reload, "have systemd read it", undo_argv=reload))
    if not facts.active or facts.unit != text:
        started = Until(
            f"Hermes answers at {at}",
            lambda _host: None,
            lambda host, _before: host.ask(("systemctl", "is-active", NAME)).ok and answers(host, at),
            SECONDS,
            f"See why: sudo journalctl -u {NAME} -n 50",
        )
        verb = "start" if not facts.active else "restart"
        changes.append(
            Run(
                ("systemctl", verb, NAME),
                "start Hermes, and wait until it answers",
                gives=GIVES,
                undo_argv=("systemctl", "stop", NAME),
                until=started,
            )
        )
    return changes


def answers(host: Host, at: Backend) -> bool:
    """True when something takes connections there."""
    return host.fetch(Request(at.address, at.port, at.address, "/api/status", seconds=2.0)).status > 0


def unit(installed: Installation, at: Backend) -> str:
    """The unit's text. Restart=always: an update ends the dashboard in good order, and means it to come back."""
    return nginx.render(
        "hermes-dashboard.service",
        program=installed.program,
        user=installed.user,
        home=installed.home,
        path=installed.path,
        address=at.address,
        port=at.port,
    )
