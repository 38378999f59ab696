"""What the user wants: everything that decides what the machine should look like, and a verb for every change of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.values import dataclass, replace


@dataclass(frozen=True)
class Answers:
    """Everything that decides what the machine should look like. Never a password, and no option of a single run."""

    domain: Domain
    issuer: Issuer
    users: tuple[User, ...]
    email: str = ""
    backend: Backend | None = None  # None: where the site has it; before a first set-up, where it is found
    firewall: Literal["open", "leave"] = "open"
    public_addresses: tuple[str, ...] = ()  # what the user says is this server's, over what can be seen
    removed: tuple[str, ...] = ()  # users whose lines have to go
    revoked: tuple[str, ...] = ()  # sha256 of cookie values that must not be good any more
    allow: tuple[str, ...] = ()  # the networks that the dashboard opens to, as `parse_allow` has them; (): to all
    service: bool = False  # Hermes is to run as a service of systemd
    webhooks: Webhooks | None = None
    redirects: tuple[Domain, ...] = ()  # redirected domains: earlier ones of this dashboard
    local_users: tuple[str, ...] | None = (
        None  # who of this server reaches Hermes besides root, nginx and Hermes; None: all
    )
    former_names: tuple[str, ...] = ()  # names that were ours once: a certificate of ours may still hold them
    backend_user: str = ""  # whose process has to be at the backend; "": as noted when the upstream was set

    @property
    def names(self) -> tuple[Domain, ...]:
        """What the certificate is for: the domain first."""
        host = self.webhooks.host if self.webhooks else None
        return (self.domain, host) if host else (self.domain,)

    # -- changes ----------------------------------------------------------------------------------------------------

    def with_user(self, user: User) -> Answers:
        """The user can sign in: as the last of them, in place of one of that name, who is not to be removed any more."""
        return self.with_users((user,))

    def with_users(self, users: Sequence[User]) -> Answers:
        """As `with_user`, for each of them."""
        names = {user.name for user in users}
        others = (user for user in self.users if user.name not in names)
        return replace(self, users=(*others, *users), removed=tuple(n for n in self.removed if n not in names))

    def with_hash(self, name: str, hashed: str) -> Answers:
        """That user has this password, and is a new one where there was none. How a user came stays as it was."""
        return self.with_hashes({name: hashed})

    def with_hashes(self, hashes: Mapping[str, str]) -> Answers:
        """As `with_hash`, for each name and hash."""
        known = {user.name: user for user in self.users}
        return self.with_users([replace(known.get(name, User(name)), hash=hashed) for name, hashed in hashes.items()])

    def without_user(self, name: str) -> Answers:
        """That user cannot sign in any more."""
        others = tuple(user for user in self.users if user.name != name)
        return replace(self, users=others, removed=(*self.removed, name))

    def with_cookies_revoked(self, digests: Sequence[str]) -> Answers:
        """Cookies of these digests are good no more."""
        return replace(self, revoked=(*self.revoked, *digests))

    def with_domain(self, domain: Domain, redirects: Sequence[Domain] = ()) -> Answers:
        """The dashboard is at that domain; the `redirects` redirect to it."""
        return replace(self, domain=domain, redirects=tuple(redirects))

    def earlier_domains(self, domain: Domain) -> tuple[Domain, ...]:
        """The domains of this dashboard that would be earlier ones, were it at `domain`."""
        return tuple(each for each in (*self.redirects, self.domain) if each != domain)

    def with_issuer(self, issuer: Issuer, email: str | None = None) -> Answers:
        """That authority signs, with an account of that e-mail address; None leaves the address as it is."""
        return replace(self, issuer=issuer, email=self.email if email is None else email)

    def with_backend(self, backend: Backend | None, user: str = "") -> Answers:
        """Requests go to that dashboard, and to a process of that user; None: they go where they went. See `Answers`."""
        return replace(self, backend=backend, backend_user=user)

    def with_service(self) -> Answers:
        """Hermes runs as a service."""
        return replace(self, service=True)

    def with_webhooks(self, webhooks: Webhooks | None) -> Answers:
        """These platforms are let in; None: none."""
        return replace(self, webhooks=webhooks)

    def with_local_users(self, names: Sequence[str] | None) -> Answers:
        """Only these users of this server reach Hermes without nginx, besides root, nginx and Hermes; None: all of them do."""
        return replace(self, local_users=None if names is None else tuple(names))

    def with_allowed(self, networks: Sequence[str]) -> Answers:
        """The dashboard opens to these networks; (): to all."""
        return replace(self, allow=tuple(networks))

    # -- over time --------------------------------------------------------------------------------------------------

    def about(self, name: Domain) -> Answers:
        """The same answers as if that name were the domain, and the only one. Names that are in use are no former ones."""
        used = {each.ascii for each in (name, *self.names, *self.redirects)}
        former = tuple(each for each in self.former_names if each not in used)
        return replace(self, domain=name, webhooks=None, redirects=(), former_names=former)

    def following(self, before: Answers | None) -> Answers:
        """The same where `before` held: the names that it had, and these have not, are former ones."""
        if before is None:
            return self
        now = {name.ascii for name in self.names}
        was = (*before.former_names, *(name.ascii for name in before.names))
        return replace(self, former_names=tuple(name for name in dict.fromkeys(was) if name not in now))

    def settled(self) -> Answers:
        """The same once they hold: no hashes (the machine has them), nobody left to remove or to sign out.

        Former names are kept: the certificate of an earlier domain may hold them for years.
        """
        users = tuple(replace(user, hash="") for user in self.users)
        return replace(self, users=users, removed=(), revoked=())
