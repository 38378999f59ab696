"""The answers so far, and what the machine says already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from hermes_setup import passwords
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.fields import FIELDS, read_fields, read_user, without_empty, write_user
from hermes_setup.answers.fields import field as field_of
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User, parse_user
from hermes_setup.answers.webhook_platforms import Endpoint
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass, field, replace

At = Literal["name", "password", "own", "more", "done"]


@dataclass(frozen=True)
class Known:
    """What the machine says already: proposals, and what need not be asked."""

    fqdn: str = ""  # a guess at this server's name
    backends: tuple[Backend, ...] = ()  # those that proved to be Hermes
    whose: Mapping[Backend, str] = field(default_factory=dict)  # the user of each one's process
    addresses: tuple[str, ...] = ()  # of this server
    users: tuple[str, ...] = ()  # who has a line in the password file
    login: str = ""  # who is at the keyboard (SUDO_USER), a guess at the first name
    previous: Answers | None = None
    not_running: str = ""  # whose installed Hermes nobody runs
    listening: tuple[Endpoint, ...] = ()  # gateway platforms that listen
    given: tuple[User, ...] = ()  # users of this conversation, who may have been gone back over
    moving: bool = False  # the domain of a dashboard that works is being changed


@dataclass(frozen=True)
class Draft:
    """The answers so far. None: not asked yet. `at` is how far the conversation about users has come.

    A password is never part of it: it is hashed as soon as it is right.
    """

    domain: Domain | None = None
    email: str | None = None
    issuer: Issuer | None = None
    users: tuple[User, ...] = ()
    backend: Backend | None = None
    service: bool | None = None
    webhooks: Webhooks | None = None
    webhooks_at: Literal["", "own", "done"] = ""  # how far the conversation about webhooks has come
    redirect: bool | None = None  # the domains before this one redirect to it
    other_ca: bool = False
    at: At = "name"
    name: str = ""  # of the user whose password comes next
    more: tuple[tuple[str, Any], ...] = ()  # (attribute, value) of what a `FieldQuestion` asked

    @property
    def complete(self) -> bool:
        """True when Answers can be made of it."""
        mail = self.email is not None or (self.issuer is not None and self.issuer.self_signed)
        return self.domain is not None and self.issuer is not None and mail and bool(self.users) and self.at == "done"

    def answers(self, base: Answers | None = None) -> Answers:
        """The Answers; what was never asked here (the firewall, ...) is as in `base`. Call it when `complete`."""
        if self.domain is None or self.issuer is None:
            raise ValueError("the draft is not complete")
        if base is None:
            return Answers(
                self.domain,
                self.issuer,
                self.users,
                self.email or "",
                self.backend,
                service=self.service is True,
                webhooks=self.webhooks,
                **dict(self.more),
            )
        made = base.with_domain(self.domain, self.redirects(base)).with_issuer(self.issuer, self.email or "")
        made = replace(made, users=()).with_users(self.users).with_backend(self.backend)
        if self.service is not None:
            made = replace(made, service=self.service)
        made = replace(made, **dict(self.more))
        return made.with_webhooks(self.webhooks) if self.webhooks else made

    def value(self, attribute: str) -> Any:
        """What a `FieldQuestion` was answered, None where it was not asked yet."""
        return dict(self.more).get(attribute)

    def with_value(self, attribute: str, value: object) -> Draft:
        """The draft with that answer of a `FieldQuestion`."""
        return replace(self, more=tuple({**dict(self.more), attribute: value}.items()))

    def redirects(self, base: Answers | None) -> tuple[Domain, ...]:
        """The domains of this dashboard in `base`, where they are to redirect to the one of now."""
        return base.earlier_domains(self.domain) if base and self.domain and self.redirect is not False else ()

    def with_user(self, user: User) -> Draft:
        """The draft with that user, and nobody half named."""
        return replace(self, users=(*self.users, user), name="", at="more")

    @classmethod
    def again(cls, previous: Answers) -> Draft:
        """A draft for changing the answers of a machine that is set up: all is asked again but its users."""
        return cls(users=previous.users, at="done") if previous.users else cls()

    def to_table(self) -> dict[str, object]:
        """The draft as JSON holds it. Hashes, never a password."""
        table: dict[str, object] = {"at": "password" if self.at == "own" else self.at, "name": self.name}
        for key, value in self._asked().items():
            table[key] = field_of(key).write(value)
        table["users"] = [write_user(user) for user in self.users]
        return table

    def _asked(self) -> dict[str, object]:
        """Key in a file of answers -> value of what was answered."""
        asked: dict[str, object] = {
            "domain": self.domain,
            "email": self.email,
            "certificate": self.issuer,
            "backend": self.backend,
            "service": self.service,
        }
        found = {key: value for key, value in asked.items() if value is not None}
        found |= {each.key: self.value(each.attribute) for each in FIELDS if each.attribute in dict(self.more)}
        return found | ({"webhooks": self.webhooks} if self.webhooks_at == "done" else {})

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Draft:
        """What `to_table` gave. Raises WrongInput for anything else: then it is asked from the start."""
        at, name, users = table.get("at"), table.get("name", ""), table.get("users")
        if at not in ("name", "password", "more", "done") or not isinstance(name, str) or not isinstance(users, list):
            raise _unreadable()
        if (at == "password") != bool(name) or (at in ("more", "done") and not users):
            raise _unreadable()
        asked = {each.key: table[each.key] for each in FIELDS if table.get(each.key) is not None}
        if asked.get("certificate") == "":  # in an answers file that is the usual one
            raise _unreadable()
        # as answers.json, but an empty answer is one, and is read; a domain that was not asked for yet is none
        read = read_fields({"domain": "nowhere.invalid", **asked, **without_empty(asked)})
        given = {each.attribute: read[each.attribute] for each in FIELDS if each.key in asked}
        own = {attribute: value for attribute, value in given.items() if attribute in cls.__match_args__}
        return cls(
            **own,
            more=tuple((attribute, value) for attribute, value in given.items() if attribute not in own),
            users=tuple(map(_user, users)),
            webhooks_at="done" if "webhooks" in table else "",
            at=at,
            name=parse_user(name) if name else "",
        )


def _user(entry: object) -> User:
    user = read_user(entry)
    if user.hash and not passwords.is_hash(user.hash):
        raise _unreadable()
    return user


def _unreadable() -> WrongInput:
    return WrongInput("The answers kept from last time cannot be read.", hint="Answer the questions once more.")
