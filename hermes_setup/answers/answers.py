"""What the user wants: everything that decides what the machine should look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from hermes_setup.answers.fields import Backend, Domain, Issuer, parse_allow
from hermes_setup.answers.platforms import Endpoint, parse_endpoints
from hermes_setup.values import dataclass, field, replace


@dataclass(frozen=True)
class User:
    """Someone who may sign in. `hash` "" means: the line that is on the machine stays as it is."""

    name: str
    hash: str = field(default="", repr=False)
    origin: Literal["answers", "menu"] = "menu"


@dataclass(frozen=True)
class Webhooks:
    """Which gateway platforms can be reached from the internet, without a password: they check their senders themselves."""

    hooks: tuple[Endpoint, ...]
    host: Domain | None = None  # a name of their own, in the same certificate; None: the dashboard's
    allow: tuple[str, ...] = ()  # the networks that senders come from; (): all

    def to_table(self) -> dict[str, object]:
        """As JSON holds it, and TOML would."""
        host = self.host.ascii if self.host else ""
        return {"platforms": [str(each) for each in self.hooks], "host": host, "allow": list(self.allow)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Webhooks:
        """What `to_table` gave. Raises WrongInput, KeyError or TypeError for anything else."""
        host = Domain.parse(table["host"]) if table["host"] else None
        return cls(parse_endpoints(table["platforms"]), host, parse_allow(table["allow"]))


@dataclass(frozen=True)
class Answers:
    """Everything that decides what the machine should look like. Never a password."""

    domain: Domain
    issuer: Issuer
    users: tuple[User, ...]
    email: str = ""
    backend: Backend | None = None  # None: where it is found
    firewall: Literal["open", "leave"] = "open"
    public_addresses: tuple[str, ...] = ()  # what the user says is this server's, over what can be seen
    gone: tuple[str, ...] = ()  # users whose lines go
    revoked: tuple[str, ...] = ()  # sha256 of cookie values that must not be good any more
    allow: tuple[str, ...] = ()  # the networks that the dashboard opens to, as `parse_allow` has them; (): to all
    lockout: bool = False  # the list may leave out whoever is at the keyboard; a word for one run, never kept
    service: bool = False  # Hermes is to run as a service of systemd
    webhooks: Webhooks | None = None
    redirects: tuple[Domain, ...] = ()  # earlier names, which lead to the domain
    dropped: tuple[str, ...] = ()  # names that were ours once: a certificate of ours may still hold them, and need not

    @property
    def names(self) -> tuple[Domain, ...]:
        """What the certificate is for: the domain first."""
        host = self.webhooks.host if self.webhooks else None
        return (self.domain, host) if host else (self.domain,)

    def about(self, name: Domain) -> Answers:
        """The same answers as if that name were the domain, and the only one. Names that are in use are not dropped."""
        used = {each.ascii for each in (name, *self.names, *self.redirects)}
        dropped = tuple(each for each in self.dropped if each not in used)
        return replace(self, domain=name, webhooks=None, redirects=(), dropped=dropped)

    def following(self, before: Answers | None) -> Answers:
        """The same wishes where `before` held: the names that it had, and these have not, are dropped."""
        if before is None:
            return self
        now = {name.ascii for name in self.names}
        was = (*before.dropped, *(name.ascii for name in before.names))
        return replace(self, dropped=tuple(name for name in dict.fromkeys(was) if name not in now))

    def with_user(self, user: User) -> Answers:
        """The user is among them, as the last; a name that was to be removed is not any more."""
        others = tuple(each for each in self.users if each.name != user.name)
        return replace(self, users=(*others, user), gone=tuple(name for name in self.gone if name != user.name))

    def without_user(self, name: str) -> Answers:
        """The user is to be removed."""
        others = tuple(each for each in self.users if each.name != name)
        return replace(self, users=others, gone=(*self.gone, name))

    def with_cookies_revoked(self, digests: tuple[str, ...]) -> Answers:
        """These cookies are good no more."""
        return replace(self, revoked=(*self.revoked, *digests))

    def settled(self) -> Answers:
        """The same wishes once they hold: no hashes (the machine has them), nobody left to remove or to sign out.

        The names that were ours are kept: the certificate of an earlier name may hold them for years.
        """
        users = tuple(replace(user, hash="") for user in self.users)
        return replace(self, users=users, gone=(), revoked=(), lockout=False)
