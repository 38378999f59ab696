"""The folders in which certbot answers the CA's challenges. They are to be root's alone: certbot writes there as root, and
whoever can put an answer there is given a certificate for this name.
"""

from __future__ import annotations

import posixpath

from hermes_setup.engine.changes import Place
from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.host import Absent, Folder, Host, Link, Node, Replaceable
from hermes_setup.nginx import tree
from hermes_setup.replaceable import by_others, cure
from hermes_setup.stages.certificate.lineages import CHALLENGES, WEBROOT
from hermes_setup.values import dataclass, replace

FOLDERS = (WEBROOT, posixpath.dirname(CHALLENGES), CHALLENGES)


@dataclass(frozen=True)
class Webroot:
    """What is there, outermost first, and what of the way there (but those folders) others can replace."""

    nodes: tuple[tuple[str, Node], ...] = ()
    replaceable: tuple[Replaceable, ...] = ()
    workers: str = ""  # the user that nginx's workers run as


def look(host: Host) -> Webroot:
    """Reads the folders' owners and modes."""
    nodes = tuple((path, host.look(path)) for path in FOLDERS)
    own = [path for path, node in nodes if isinstance(node, Folder)]
    found = tuple(each for each in host.replaceable(CHALLENGES) if each.path not in own)
    return Webroot(nodes, found, tree.read(host).user if found else "")


def places(nodes: tuple[tuple[str, Node], ...]) -> list[Place]:
    """The folders are there, root's, and nginx's workers may enter them."""
    changes = []
    for path, node in nodes:
        if isinstance(node, Folder) and (node.owner != "root" or node.mode & 0o022):
            why = "make it root's alone: whoever can write there is given certificates for this name"
            changes.append(Place(path, replace(node, owner="root", mode=node.mode & ~0o022 | 0o555), why))
        elif isinstance(node, Folder) and not node.mode & 0o001:
            why = "let nginx enter it: the answers to the challenges are below"
            changes.append(Place(path, replace(node, mode=node.mode | 0o555), why))
    if nodes and isinstance(nodes[-1][1], Absent):
        changes.append(Place(CHALLENGES, Folder(), "for certbot's answers to the challenges"))
    return changes


def check(webroot: Webroot) -> list[Finding]:
    """Nobody but root decides what is at the end of the way to the challenges."""
    for path, node in webroot.nodes:
        if not isinstance(node, (Folder, Absent, Link)):
            return [_no_folder(path, "is no folder")]
        if isinstance(node, Link) and (webroot.replaceable or path == CHALLENGES):
            others = f", and others can replace {_listed(webroot)}" if webroot.replaceable else ""
            return [_no_folder(path, f"is a link to {node.target}{others}")]
    if not webroot.replaceable:
        return []
    only_workers = not by_others(webroot.replaceable, webroot.workers)
    return [
        (warn if only_workers else block)(
            "certificate.webroot",
            f"Users other than root can replace the folder where certbot answers challenges, {WEBROOT}: {_listed(webroot)}.",
            "certbot writes there as root, and whoever can write there is given a certificate for this name.",
            f"What lies in it keeps its owners: {cure(webroot.replaceable, f'let it lie in folders of root alone: ls -ld {WEBROOT}')}",
        )
    ]


def _no_folder(path: str, what: str) -> Finding:
    return block(
        "certificate.webroot",
        f"{path} {what}.",
        "certbot writes the answers to the CA's challenges there, as root.",
        f"Look at it: ls -ld {path} ; then: sudo mv {path} /root/ ; run this again, and a folder is made.",
    )


def _listed(webroot: Webroot) -> str:
    return ", ".join(map(str, webroot.replaceable[:3]))
