"""An answers file in TOML, read strictly, and written."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from hermes_setup.answers.answers import Answers, Webhooks
from hermes_setup.answers.fields import Backend, Domain, Issuer, parse_allow, parse_email, parse_user, webhooks_host
from hermes_setup.answers.platforms import parse_endpoints
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass, field

T = TypeVar("T")


@dataclass(frozen=True)
class UserEntry:
    """A user as an answers file names one; where the hash comes from is settled in `accounts.resolve`."""

    name: str
    password_file: str = ""
    password_hash: str = field(default="", repr=False)


@dataclass(frozen=True)
class AnswersFile:
    """An answers file, read strictly. Its users still have to be resolved against the machine."""

    domain: Domain
    issuer: Issuer
    users: tuple[UserEntry, ...]
    email: str = ""
    backend: Backend | None = None
    firewall: Literal["open", "leave"] = "open"
    public_addresses: tuple[str, ...] = ()
    service: bool = False
    allow: tuple[str, ...] = ()
    webhooks: Webhooks | None = None
    redirects: tuple[Domain, ...] = ()


KEYS = (
    *("domain", "redirect_from", "email", "certificate", "backend", "service", "firewall", "public_addresses", "allow"),
    *("webhooks", "users"),
)


USER_KEYS = ("name", "password_file", "password_hash")


WEBHOOK_KEYS = ("platforms", "host", "allow")


def read_table(table: Mapping[str, object]) -> AnswersFile:
    """The answers in a TOML document. Raises WrongInput, naming the key, for anything missing, unknown or wrong."""
    _known_keys(table, KEYS, "the answers file")
    domain = _of_key("domain", Domain.parse, _text(table, "domain", required=True))
    firewall = _text(table, "firewall") or "open"
    if firewall not in ("open", "leave"):
        raise WrongInput(
            f'firewall = "{firewall}" is neither of its two words.', hint='Write firewall = "open" or "leave".'
        )
    backend = _text(table, "backend")
    redirects = _redirects(table.get("redirect_from", []), domain)
    return AnswersFile(
        domain=domain,
        issuer=_of_key("certificate", Issuer.parse, _text(table, "certificate") or "letsencrypt"),
        users=_users(table.get("users", [])),
        email=_of_key("email", parse_email, _text(table, "email")),
        backend=_of_key("backend", Backend.parse, backend) if backend else None,
        firewall="open" if firewall == "open" else "leave",
        public_addresses=_addresses(table.get("public_addresses", [])),
        service=_switch(table, "service"),
        allow=_allow(
            table["allow"], "allow", "nobody could open the dashboard", "whoever has a password may come from anywhere"
        )
        if "allow" in table
        else (),
        webhooks=_webhooks(table["webhooks"], domain, redirects) if "webhooks" in table else None,
        redirects=redirects,
    )


def _of_key(key: str, parse: Callable[[str], T], text: str) -> T:
    """As `parse`; what is wrong is said with the key that it stands at."""
    try:
        return parse(text)
    except WrongInput as error:
        raise WrongInput(f"{key}: {error.message}", hint=error.hint, instead=error.instead) from None


def _webhooks(value: object, domain: Domain, earlier: Sequence[Domain]) -> Webhooks:
    example = '[webhooks]\nplatforms = ["webhook", "sms"]'
    if not isinstance(value, dict):
        raise WrongInput("webhooks is a table.", hint=f"Write:\n{example}")
    _known_keys(value, WEBHOOK_KEYS, "[webhooks]")
    platforms = value.get("platforms", [])
    if not isinstance(platforms, list) or not all(isinstance(each, str) for each in platforms):
        raise WrongInput("[webhooks] platforms is not a list of names in quotes.", hint=f"Write:\n{example}")
    if not platforms:
        raise WrongInput("[webhooks] names no platforms.", hint=f"Write:\n{example}\nor leave [webhooks] out.")
    host = _text(value, "host")
    return Webhooks(
        parse_endpoints(platforms),
        webhooks_host(host, domain, earlier) if host else None,
        _allow(value["allow"], "[webhooks] allow", "no webhook would get through", "its senders may come from anywhere")
        if "allow" in value
        else (),
    )


def _redirects(value: object, domain: Domain) -> tuple[Domain, ...]:
    example = 'Write redirect_from = ["old.example.com"].'
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise WrongInput("redirect_from is not a list of names in quotes.", hint=example)
    found: list[Domain] = []
    for text in value:
        name = _of_key("redirect_from", Domain.parse, text)
        if name == domain:
            raise WrongInput(f"redirect_from holds {name}, which is the domain itself.", hint="Take it out there.")
        if name in found:
            raise WrongInput(f"{name} is named twice in redirect_from.", hint="Keep one of the two.")
        found.append(name)
    return tuple(found)


def _users(value: object) -> tuple[UserEntry, ...]:
    if isinstance(value, dict):
        raise WrongInput("[users] with single brackets is one table; users are a list.", hint="Write [[users]].")
    if not isinstance(value, list) or not value:
        raise WrongInput(
            "The answers file names no user, and without one nobody could sign in.",
            hint='Add:\n[[users]]\nname = "alice"',
        )
    entries: list[UserEntry] = []
    for number, table in enumerate(value, 1):
        if not isinstance(table, dict):
            raise WrongInput(
                f"users entry {number} is not a table.", hint='Write [[users]] and under it name = "alice".'
            )
        _known_keys(table, USER_KEYS, f"users entry {number}")
        entry = UserEntry(
            _of_key(f"users entry {number}, name", parse_user, _text(table, "name", required=True)),
            _text(table, "password_file"),
            _text(table, "password_hash"),
        )
        if entry.password_file and entry.password_hash:
            raise WrongInput(f"{entry.name} has a password_file and a password_hash.", hint="Keep one of the two.")
        if entry.password_file and not entry.password_file.startswith("/"):
            raise WrongInput(
                f"password_file of {entry.name} is not a full path.",
                hint=f'Write "/root/{entry.name}.pw", for example.',
            )
        if any(entry.name == other.name for other in entries):
            raise WrongInput(f"{entry.name} is named twice.", hint="Keep one of the two entries.")
        entries.append(entry)
    return tuple(entries)


def _addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise WrongInput("public_addresses is not a list.", hint='Write public_addresses = ["203.0.113.5"].')
    try:
        return tuple(str(ipaddress.ip_address(item)) for item in value if isinstance(item, str) or _no_address(item))
    except ValueError as error:
        raise WrongInput(f"public_addresses: {error}.", hint='Write public_addresses = ["203.0.113.5"].') from None


def _allow(value: object, key: str, empty: str, missing: str) -> tuple[str, ...]:
    """The list of that key. `empty`: what an empty one would mean; `missing`: what holds without the key."""
    example = 'Write allow = ["203.0.113.0/24", "2001:db8::/32"].'
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongInput(f"{key} is not a list of addresses in quotes.", hint=example)
    if not value:
        raise WrongInput(
            f"{key} is an empty list: {empty}.",
            hint=f"{example} Without the key, {missing}.",
        )
    try:
        return parse_allow(value)
    except WrongInput as error:
        raise WrongInput(f"{key}: {error.message}", hint=error.hint) from None


def _no_address(item: object) -> bool:
    raise ValueError(f"{item!r} is not an address in quotes")


def _known_keys(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = ["password_file"] if key == "password" else difflib.get_close_matches(key, known, 1, 0.4)
            raise WrongInput(
                f"{where} has an unknown key: {key}.",
                hint=f"Did you mean {near[0]}?" if near else f"The keys are: {', '.join(known)}.",
            )


def _switch(table: Mapping[str, object], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise WrongInput(f"{key} is neither true nor false.", hint=f"Write {key} = true, without quotes.")
    return value


def _text(table: Mapping[str, object], key: str, *, required: bool = False) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        example = {"firewall": '"open" or "leave"'}.get(key, '"..."')
        raise WrongInput(f"{key} is not a text in quotes.", hint=f"Write {key} = {example}")
    if required and not value.strip():
        raise WrongInput(f"The key {key} is missing.", hint=f'Add a line: {key} = "..."')
    return value


def to_toml(answers: Answers, hashes: Mapping[str, str]) -> str:
    """The answers file that would repeat this set-up; `hashes` are the lines that are on the machine."""
    lines = [f"domain = {_quote(answers.domain.ascii)}"]
    if answers.email:
        lines.append(f"email = {_quote(answers.email)}")
    lines.append(f"certificate = {_quote(answers.issuer.text)}")
    if answers.backend:
        lines.append(f"backend = {_quote(str(answers.backend))}")
    if answers.service:
        lines.append("service = true")
    lines.append(f"firewall = {_quote(answers.firewall)}")
    if answers.public_addresses:
        lines.append(f"public_addresses = [{', '.join(map(_quote, answers.public_addresses))}]")
    if answers.allow:
        lines.append(f"allow = [{', '.join(map(_quote, answers.allow))}]")
    if answers.redirects:
        lines.append(f"redirect_from = [{', '.join(_quote(each.ascii) for each in answers.redirects)}]")
    if hooks := answers.webhooks:
        lines += ["", "[webhooks]", f"platforms = [{', '.join(_quote(str(each)) for each in hooks.hooks)}]"]
        if hooks.host:
            lines.append(f"host = {_quote(hooks.host.ascii)}")
        if hooks.allow:
            lines.append(f"allow = [{', '.join(map(_quote, hooks.allow))}]")
    for user in answers.users:
        lines += ["", "[[users]]", f"name = {_quote(user.name)}"]
        if hashes.get(user.name):
            lines.append(f"password_hash = {_quote(hashes[user.name])}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """A TOML basic string (TOML 1.0, "String")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
