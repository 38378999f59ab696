"""Which Hermes programs are installed on this machine, and whose each one is.

Hermes's own installer puts the command at /usr/local/bin (root's) or ~/.local/bin, the program below /usr/local/lib or
~/.hermes, and a Node.js of its own into ~/.hermes/node (0.19.0: hermes_constants.py, hermes_cli/uninstall.py).
"""

from __future__ import annotations

import posixpath
import re

from hermes_setup.host import ABSENT, File, Folder, Host, Link, Node
from hermes_setup.nginx import tree
from hermes_setup.stages.hermes.unix_users import homes, people
from hermes_setup.values import dataclass, replace

OF_A_USER = (".local/bin/hermes", ".hermes/hermes-agent/venv/bin/hermes")  # below the home
SHARED = ("/usr/local/bin/hermes", "/usr/bin/hermes", "/opt/hermes/bin/hermes")

HOPS = 10  # links on the way to a program


@dataclass(frozen=True)
class Installation:
    """A Hermes on this machine, and whose it is."""

    program: str
    user: str  # "" where several people use it
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


def find(host: Host) -> tuple[Installation, ...]:
    """Every Hermes in the usual places, users' own and shared ones; a user's own that links to the shared one counts once.

    A shared one belongs to its owner. Where that is root, it belongs to the one user who has a ~/.hermes; `user` is ""
    where several have one, and root where no one has.
    """
    found: list[Installation] = []
    for user in people(host):
        if user.name == "root" or user.has_shell:
            paths = [f"{user.home}/{path}" for path in OF_A_USER]
            own = [path for path in paths if (program := executable(host, path)) and _may_run(host, user.name, program)]
            found += [Installation(path, user.name, user.home) for path in own[:1]]
    home_of = homes(host)
    seen: set[str] = set()
    for path in SHARED:
        program = executable(host, path)
        if not program or program[0] in seen:
            continue
        seen.add(program[0])
        name = _user_of_shared(host, program)
        if all(each.user != name for each in found):
            found.append(Installation(path, name, home_of.get(name, "/")))
    return tuple(found)


def the_only_one(found: tuple[Installation, ...]) -> Installation | None:
    """The installation, where there is one and it is clear whose it is."""
    return found[0] if len(found) == 1 and found[0].user else None


def executable(host: Host, path: str) -> tuple[str, File] | None:
    """Where the links of that path end, and the file there; None where that is not a file that can be run.

    A link of a user's into the kernel's file systems is not followed: to read some of what is there changes it (proc(5), kmsg).
    """
    path, node = _end_of_links(host, path)
    return (path, node) if isinstance(node, File) and node.mode & 0o111 else None


def _end_of_links(host: Host, path: str) -> tuple[str, Node]:
    for _ in range(HOPS):
        if path.startswith(("/proc/", "/sys/", "/dev/")):
            break
        node = host.look(path)
        if not isinstance(node, Link):
            return path, node
        path = tree.link_target(path, node)
    return path, ABSENT


def with_node(host: Host, installed: Installation) -> Installation:
    """The same with the version of the Node.js that it would find. Runs `node --version` as the user whose Hermes it is.

    As root only a Node.js that nobody else can replace.
    """
    if installed.user == "root":
        named = (folder for folder in installed.path.split(":") if "node" in host.names(folder))
        if (folder := next(named, "")) and host.replaceable(f"{folder}/node"):
            return installed
    variables = (f"HOME={installed.home}", f"PATH={installed.path}")
    ran = host.ask(("runuser", "-u", installed.user, "--", "env", *variables, "node", "--version"))
    return replace(installed, node=ran.out.strip().lstrip("v") if ran.ok else "")


def _user_of_shared(host: Host, program: tuple[str, File]) -> str:
    """Whose a shared program is; "" where several people use it."""
    owner = _who_can_replace(host, program)
    if owner != "root":
        return owner
    users = [user.name for user in people(host) if isinstance(host.look(f"{user.home}/.hermes"), Folder)]
    return "root" if not users else users[0] if len(users) == 1 else ""


def _who_can_replace(host: Host, program: tuple[str, File]) -> str:
    """Who can replace the program: its owner; where that is root, the owner of the first folder above that is not root's."""
    path, file = program
    owners = [file.owner]
    while path != "/":
        path = posixpath.dirname(path)
        owners += [node.owner] if isinstance(node := host.look(path), Folder) else []
    return next((owner for owner in owners if owner != "root"), "root")


def _may_run(host: Host, user: str, program: tuple[str, File]) -> bool:
    """False for a program in root's home that someone else could replace: root would run it."""
    return user != "root" or _who_can_replace(host, program) == "root"
