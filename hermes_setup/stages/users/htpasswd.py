"""The users' file (htpasswd). A line that we did not write stays as it is, where it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timezone

from hermes_setup.answers.user import User
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import File, Host, Special
from hermes_setup.state.line_dates import LineDate

USERS_FILE = "/etc/nginx/.htpasswd-hermes"


def hashes(text: str) -> dict[str, str]:
    """Name -> hash of every line that nginx would take (ngx_http_auth_basic_module: name, colon, hash, rest ignored)."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        if colon and name and not name.startswith("#"):
            found.setdefault(name, rest.partition(":")[0].strip())
    return found


def with_users(text: str, users: Sequence[User], removed: Sequence[str]) -> str:
    """The file with these users' lines changed, added or removed; every other line as it was.

    nginx ignores lines that start with # (ngx_http_auth_basic_module.c), so the first one says whose file it is.
    """
    from hermes_setup.nginx import tree  # here: the wizard's first question does not wait for it

    wanted = {user.name: user.hash for user in users if user.hash}
    ours = {*wanted, *removed}
    lines: list[str] = []
    seen: set[str] = set()
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        if not colon or name.startswith("#") or name not in ours:
            lines.append(line)
        elif name in wanted and name not in seen:
            same = rest.partition(":")[0].strip() == wanted[name]
            lines.append(line if same else f"{name}:{wanted[name]}")
            seen.add(name)
    while lines and not lines[-1]:
        lines.pop()
    lines += [f"{name}:{hashed}" for name, hashed in wanted.items() if name not in seen]
    if not lines or not lines[0].startswith(tree.HEADER):
        lines.insert(0, f"{tree.HEADER} One user a line; lines added by hand are kept.")
    return "".join(f"{line}\n" for line in lines)


def read(host: Host) -> dict[str, str]:
    """Who can sign in: name -> hash, by the users' file as it is now. {} where there is none.

    Raises HermesSetupError where it can't be read.
    """
    node = host.look(USERS_FILE)
    if isinstance(node, Special):
        raise HermesSetupError(f"{USERS_FILE} can't be read: {node.why}.", hint=f"Look at it: ls -l {USERS_FILE}")
    return hashes(node.content.decode("utf-8", "surrogateescape")) if isinstance(node, File) else {}


def last_written() -> LineDate:
    """When a line was written of which nothing was noted: its file's time, or before."""
    try:
        at = os.stat(USERS_FILE).st_mtime
    except OSError:
        at = 0  # then there are no lines
    return LineDate(datetime.fromtimestamp(at, timezone.utc), exact=False)
