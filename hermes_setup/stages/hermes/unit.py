"""The systemd unit of Hermes's dashboard: its text, whose it is, and which unit would run a dashboard.

It has the name that later versions of `hermes update` restart.
"""

from __future__ import annotations

import re

from hermes_setup.answers.backend import DEFAULT_BACKEND, Backend
from hermes_setup.host import File, Host, Link, Node, has_systemd
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.hermes.installations import Installation, executable
from hermes_setup.stages.hermes.unix_users import homes
from hermes_setup.values import dataclass

NAME = "hermes-dashboard.service"
UNITS = "/etc/systemd/system"
UNIT = f"{UNITS}/{NAME}"
WANTED = f"{UNITS}/multi-user.target.wants/{NAME}"


@dataclass(frozen=True)
class Runs:
    """As whom our unit runs the dashboard, and on which port."""

    user: str
    port: int


def text(installed: Installation, at: Backend, renderer: Renderer) -> str:
    """The unit's text. Restart=always: an update of Hermes stops the dashboard cleanly, and expects it to come back."""
    return renderer.render(
        "hermes-dashboard.service",
        program=f'"{installed.program}"' if " " in installed.program else installed.program,
        user=installed.user,
        home=installed.home,
        path=installed.path,
        address=at.address,
        port=at.port,
    )


def is_ours(node: Node) -> bool:
    """True for a unit that this program wrote."""
    return isinstance(node, File) and node.content.startswith(tree.HEADER.encode())


def ours_exists(host: Host) -> bool:
    """True when the unit is there, and this program wrote it."""
    return is_ours(host.look(UNIT))


def of_ours(host: Host) -> Runs | None:
    """What our unit says of itself; None where there is none of ours."""
    node = host.look(UNIT)
    lines = node.content.decode("utf-8", "replace") if isinstance(node, File) and is_ours(node) else ""
    user = re.search(r"^User=(.+)$", lines, re.MULTILINE)
    port = re.search(r"^ExecStart=.* --port (\d{1,5})\b", lines, re.MULTILINE)
    return Runs(user[1], int(port[1])) if user and port else None


def installation_in(host: Host, unit: File) -> Installation | None:
    """What our own unit runs, as long as it exists: no one else's program takes its place. None where it was removed."""
    lines = unit.content.decode("utf-8", "replace")
    user = re.search(r"^User=(.+)$", lines, re.MULTILINE)
    program = re.search(r'^ExecStart=(?:"([^"]+)"|(\S+)) dashboard ', lines, re.MULTILINE)
    if not user or not program:
        return None
    path, home = program[1] or program[2], homes(host).get(user[1])
    return Installation(path, user[1], home) if home and executable(host, path) else None


def that_runs_a_dashboard(host: Host, port: int | None = None) -> str:
    """The unit that would run a dashboard (on that port), without its ".service"; "" for none.

    Looks at the units in /etc/systemd/system, no matter who wrote them; one of the usual name may start anything.
    """
    if not has_systemd(host):
        return ""
    names = (name for name in host.names(UNITS) if name.endswith(".service") and "@" not in name)
    for name in sorted(names, key=lambda name: (name != NAME, name)):
        command = _exec_start(host, name)
        is_dashboard = re.search(r"hermes.*\bdashboard\b", command)
        ports = re.findall(r"--port[ =](\d{1,5})", command) or ([str(DEFAULT_BACKEND.port)] if is_dashboard else [])
        fits = port is None or not ports or int(ports[-1]) == port
        if fits and (is_dashboard or (name == NAME and command)):
            return name.removesuffix(".service")
    return ""


def _exec_start(host: Host, name: str) -> str:
    """What that unit starts, "" where its file cannot be read."""
    node = host.look(f"{UNITS}/{name}")
    if isinstance(node, Link):  # `systemctl link`; one that is masked links to /dev/null
        node = host.look(node.target)
    lines = node.content.decode("utf-8", "replace") if isinstance(node, File) else ""
    return " ".join(re.findall(r"^ExecStart=(.*)$", lines.replace("\\\n", " "), re.MULTILINE))
