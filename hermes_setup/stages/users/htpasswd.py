"""The lines of the users' file. A line that we did not write stays as it is, where it is."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import User

USERS_FILE = "/etc/nginx/.htpasswd-hermes"


def hashes(text: str) -> dict[str, str]:
    """Name -> hash of every line that nginx would take (ngx_http_auth_basic_module: name, colon, hash, rest ignored)."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        if colon and name and not name.startswith("#"):
            found.setdefault(name, rest.partition(":")[0].strip())
    return found


def with_users(text: str, users: Sequence[User], gone: Sequence[str]) -> str:
    """The file with these users' lines changed, added or gone; every other line as it was.

    nginx passes over lines that begin with # (ngx_http_auth_basic_module.c), so the first one says whose file it is.
    """
    from hermes_setup.nginx import tree  # here: the wizard's first question does not wait for it

    wanted = {user.name: user.hash for user in users if user.hash}
    ours = {*wanted, *gone}
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
    if not lines or not lines[0].startswith(tree.OURS):
        lines.insert(0, f"{tree.OURS} One user a line; lines added by hand are kept.")
    return "".join(f"{line}\n" for line in lines)
