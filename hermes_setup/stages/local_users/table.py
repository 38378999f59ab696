"""The table of nftables that keeps other users of this server from Hermes's port: its text, its unit, and whether it is loaded.

Its chain is of the output hook, where a packet still has the socket of who sent it (nft(8): `meta skuid`). A packet to one of this
machine's own addresses leaves by lo, whichever address that is. It is none of those rules that the firewall's stage judges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

from hermes_setup.answers.backend import Backend
from hermes_setup.digests import digest
from hermes_setup.host import Host, Node, Ran
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.phrases import all_of
from hermes_setup.stages.certificate.certbot import BIN_FOLDERS
from hermes_setup.values import dataclass

TABLE = "hermes_setup"
FOLDER = "/etc/hermes-setup"
FILE = f"{FOLDER}/local-users.nft"
NAME = "hermes-local-users.service"
UNITS = "/etc/systemd/system"
UNIT = f"{UNITS}/{NAME}"
LINKS = (f"{UNITS}/sysinit.target.wants/{NAME}", f"{UNITS}/nftables.service.wants/{NAME}")
LOAD = ("nft", "-f", FILE)
DROP = ("nft", f"add table inet {TABLE}; delete table inet {TABLE}")
"""Also where there is none: `destroy` is known to nft only since 1.0.7 and Linux 6.3."""


@dataclass(frozen=True)
class User:
    """A user of this machine who reaches the port."""

    name: str
    uid: int
    role: Literal["", "nginx", "Hermes"] = ""


def text(users: Sequence[User], at: Backend, renderer: Renderer) -> str:
    """The table's file: these users reach that port, nobody else. It has their numbers, so it loads where no name is known yet."""
    return renderer.render(
        "local-users.nft",
        names=named(users),
        unit=NAME,
        table=TABLE,
        destination=destination(at),
        port=at.port,
        uids=", ".join(map(str, _uids(users))),
        mark=mark(users, at),
    )


def named(users: Sequence[User]) -> str:
    """Them, as the file and the plan name them."""
    return all_of([f"{user.name} ({user.role})" if user.role else user.name for user in users])


def destination(at: Backend) -> str:
    """What nft asks of a packet's way: by lo to this machine, else to that address."""
    return 'oif "lo"' if at.local else f"{'ip6' if ':' in at.address else 'ip'} daddr {at.address}"


def mark(users: Sequence[User], at: Backend) -> str:
    """The comment of the rule: another one for other users or another port."""
    return f"hermes-setup {digest(str(at), str(_uids(users)))}"


def _uids(users: Sequence[User]) -> list[int]:
    return sorted({user.uid for user in users})


def program(host: Host) -> str:
    """The path of nft, which the unit starts: the one that was looked at (0027), whatever the PATH has at boot."""
    paths = (f"{folder}/nft" for folder in BIN_FOLDERS)
    return next((path for path in paths if tree.file_at(host, path)), "/usr/sbin/nft")


def unit_text(nft: str, renderer: Renderer) -> str:
    """The unit that loads the file at boot, ahead of the network."""
    return renderer.render("hermes-local-users.service", nft=nft, file=FILE, drop=DROP[1])


def listing(host: Host) -> Ran:
    """What nft says of the table; it ends with 1 where there is none, with 127 where there is no nft."""
    return host.ask(("nft", "--json", "list", "table", "inet", TABLE))


def loaded_mark(ran: Ran) -> str:
    """The `mark` of the rule that is loaded; "" where none is, or the table is not as it was loaded."""
    try:
        entries = json.loads(ran.out)["nftables"] if ran.ok else []
        rules = [entry["rule"] for entry in entries if "rule" in entry]
        chains = [entry["chain"] for entry in entries if "chain" in entry]
    except (ValueError, KeyError, TypeError):
        return ""
    if len(rules) != 1 or [chain.get("hook") for chain in chains] != ["output"]:
        return ""
    return str(rules[0].get("comment", ""))


def uids_let_in(file: Node, at: Backend) -> frozenset[int] | None:
    """The numbers of those whom the file lets reach that port; None where it keeps nobody from it."""
    found = re.search(
        rf"^\t\t(\S.*) tcp dport {at.port} meta skuid != {{ ([\d, ]+) }}", tree.text_of(file), re.MULTILINE
    )
    if not found or found[1] != destination(at):
        return None
    return frozenset(map(int, found[2].split(", ")))
