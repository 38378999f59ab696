"""The users of this machine, as /etc/passwd has them (passwd(5))."""

from __future__ import annotations

from collections.abc import Iterable

from hermes_setup.host import File, Host
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class UnixUser:
    """One of them."""

    name: str
    uid: int
    home: str
    shell: str

    @property
    def has_shell(self) -> bool:
        """False for a user who cannot log in."""
        return not self.shell.endswith(("/nologin", "/false"))


def all_users(host: Host) -> list[UnixUser]:
    """Everybody, those that only programs run as too."""
    passwd = host.look("/etc/passwd")
    lines = passwd.content.decode("utf-8", "replace").splitlines() if isinstance(passwd, File) else []
    fields = [each for line in lines if len(each := line.split(":")) == 7 and each[2].isdigit()]
    return [UnixUser(each[0], int(each[2]), each[5], each[6]) for each in fields]


def people(host: Host) -> list[UnixUser]:
    """Root, and each user who is a person (login.defs(5): UID_MIN, UID_MAX)."""
    return [user for user in all_users(host) if user.uid == 0 or 1000 <= user.uid < 60000]


def homes(host: Host) -> dict[str, str]:
    """The home of every user."""
    return {user.name: user.home for user in all_users(host)}


def with_login(host: Host) -> tuple[str, ...]:
    """The names of those who can log in to this server, root left out."""
    return tuple(user.name for user in people(host) if user.name != "root" and user.has_shell)


def uids(host: Host, names: Iterable[str]) -> dict[str, int]:
    """Name -> number, of those whom this machine knows; of a number as a name that number."""
    known = {user.name: user.uid for user in all_users(host)}
    found = {name: known.get(name, int(name) if name.isdigit() else -1) for name in names}
    for name in (name for name, uid in found.items() if uid < 0):  # it may come from a directory (nsswitch.conf(5))
        fields = host.ask(("getent", "passwd", "--", name)).out.split(":")
        if len(fields) > 2 and fields[2].isdigit():
            found[name] = int(fields[2])
    return {name: uid for name, uid in found.items() if uid >= 0}
