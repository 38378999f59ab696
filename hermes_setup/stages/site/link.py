"""The link that switches the site on: its name sorts last, and it comes last."""

from __future__ import annotations

import posixpath

from hermes_setup.host import Absent, Link, Node
from hermes_setup.nginx import tree
from hermes_setup.stages.site.facts import AVAILABLE, NEXT, Facts

LINK = "zz-hermes"


def last_name(folder: str, facts: Facts) -> str:
    """A name for our link that sorts behind every other in the folder (glob(3) sorts by bytes in nginx's C locale)."""
    taken = [
        posixpath.basename(path)
        for path, node in facts.nodes.items()
        if posixpath.dirname(path) == folder
        and not isinstance(node, Absent)
        and not (isinstance(node, Link) and tree.target(path, node) in (AVAILABLE, AVAILABLE + NEXT))
    ]
    name = LINK
    while any(other >= name for other in taken) and len(name) < 40:
        name = "z" + name
    return name if all(other < name for other in taken) else "~" + LINK


def order(path: str, node: Node) -> int:
    """Copies first, then what goes, then the file, then the link that switches it on: valid after each single step."""
    if ".by-hand" in path:
        return 0
    if isinstance(node, Absent):
        return 3 if path.endswith((NEXT, f"{NEXT}.conf")) else 1
    return 4 if isinstance(node, Link) else 2
