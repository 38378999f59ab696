"""One table for all the ways to write answers: TOML in an answers file, JSON in answers.json and draft.json.

Each answer is one `Field` of FIELDS: its key, how it is written, how it is read. What is read is parsed at once, and each
error names the key. Users differ: an answers file names a file with a password, JSON has hashes.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hermes_setup.answers.allowed_addresses import parse_allow
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend, parse_backend_user
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer, parse_email
from hermes_setup.answers.user import User, parse_user
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks, webhooks_host
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass

T = TypeVar("T")

EMPTY: tuple[object, ...] = ("", [], None, False)
"""What JSON has where there is no answer; it is not read."""


@dataclass(frozen=True)
class Field:
    """One answer. `write` gives plain data; `read` takes it back, and is given the attributes that were read before it.

    `other_json_key` is for a key that is another one in JSON. `always`: an answers file has it also where it is the default.
    """

    key: str
    attribute: str
    write: Callable[[Any], object]
    read: Callable[[Any, Mapping[str, Any]], Any]
    other_json_key: str = ""
    always: bool = False

    @property
    def json_key(self) -> str:
        """Its key in answers.json and draft.json."""
        return self.other_json_key or self.key


# -- how each is read ---------------------------------------------------------------------------------------------------


def _domain(value: object, _known: Mapping[str, Any]) -> Domain:
    return at_key("domain", Domain.parse, text_of(value, "domain", required=True))


def _email(value: object, _known: Mapping[str, Any]) -> str:
    return at_key("email", parse_email, text_of(value, "email"))


def _issuer(value: object, _known: Mapping[str, Any]) -> Issuer:
    return at_key("certificate", Issuer.parse, text_of(value, "certificate") or "letsencrypt")


def _backend(value: object, _known: Mapping[str, Any]) -> Backend | None:
    text = text_of(value, "backend")
    return at_key("backend", Backend.parse, text) if text else None


def _backend_user(value: object, _known: Mapping[str, Any]) -> str:
    text = text_of(value, "backend_user")
    return at_key("backend_user", parse_backend_user, text) if text else ""


def _service(value: object, _known: Mapping[str, Any]) -> bool:
    if not isinstance(value, bool):
        raise WrongInput("service is neither true nor false.", hint="Write service = true, without quotes.")
    return value


def _firewall(value: object, _known: Mapping[str, Any]) -> str:
    word = text_of(value, "firewall") or "open"
    if word not in ("open", "leave"):
        raise WrongInput(f'firewall = "{word}" is not possible.', hint='Write firewall = "open" or "leave".')
    return word


def _public_addresses(value: object, _known: Mapping[str, Any]) -> tuple[str, ...]:
    example = 'Write public_addresses = ["203.0.113.5"].'
    if not isinstance(value, list):
        raise WrongInput("public_addresses is not a list.", hint=example)
    if odd := [item for item in value if not isinstance(item, str)]:
        raise WrongInput(f"public_addresses: {odd[0]!r} is not an address in quotes.", hint=example)
    try:
        return tuple(str(ipaddress.ip_address(item)) for item in value)
    except ValueError as error:
        raise WrongInput(f"public_addresses: {error}.", hint=example) from None


def _allow(value: object, _known: Mapping[str, Any]) -> tuple[str, ...]:
    return networks_of(
        value, "allow", "nobody could open the dashboard", "the dashboard opens from anywhere, with a password"
    )


def _local_users(value: object, _known: Mapping[str, Any]) -> tuple[str, ...]:
    example = 'Write local_users = ["debian"], with users of this server; or local_users = [] for none.'
    if not isinstance(value, list) or not _are_texts(value):
        raise WrongInput("local_users is not a list of names in quotes.", hint=example)
    for name in value:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.@-]*\$?", name):
            raise WrongInput(f"local_users: {name!r} is not the name of a Unix user.", hint=example)
    return tuple(name for name in dict.fromkeys(value) if name != "root")


def _write_local_users(names: tuple[str, ...] | None) -> list[str] | None:
    """With root, who is always one of them: an empty list counts as no answer in JSON."""
    return None if names is None else ["root", *names]


def _redirects(value: object, known: Mapping[str, Any]) -> tuple[Domain, ...]:
    example = 'Write redirect_from = ["old.example.com"].'
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise WrongInput("redirect_from is not a list of names in quotes.", hint=example)
    found: list[Domain] = []
    for text in value:
        name = at_key("redirect_from", Domain.parse, text)
        if name == known["domain"]:
            raise WrongInput(f"redirect_from contains {name}, which is the domain itself.", hint="Remove it there.")
        if name in found:
            raise WrongInput(f"{name} is listed twice in redirect_from.", hint="Keep one of the two.")
        found.append(name)
    return tuple(found)


WEBHOOK_KEYS = ("platforms", "host", "allow")


def _webhooks(value: object, known: Mapping[str, Any]) -> Webhooks:
    example = '[webhooks]\nplatforms = ["webhook", "sms"]'
    if not isinstance(value, dict):
        raise WrongInput("webhooks is not a table.", hint=f"Write:\n{example}")
    known_keys(value, WEBHOOK_KEYS, "[webhooks]")
    platforms = value.get("platforms", [])
    if not isinstance(platforms, list) or not all(isinstance(each, str) for each in platforms):
        raise WrongInput("[webhooks] platforms is not a list of names in quotes.", hint=f"Write:\n{example}")
    if not platforms:
        raise WrongInput("[webhooks] lists no platforms.", hint=f"Write:\n{example}\nor leave [webhooks] out.")
    host = text_of(value.get("host", ""), "host")
    empty, missing = "no webhook would get through", "its senders may come from anywhere"
    return Webhooks(
        parse_endpoints(platforms),
        webhooks_host(host, known["domain"], known.get("redirects", ())) if host else None,
        networks_of(value["allow"], "[webhooks] allow", empty, missing) if "allow" in value else (),
    )


def _write_webhooks(webhooks: Webhooks | None) -> dict[str, object] | None:
    if webhooks is None:
        return None
    host = webhooks.host.ascii if webhooks.host else ""
    return {"platforms": [str(each) for each in webhooks.endpoints], "host": host, "allow": list(webhooks.allow)}


FIELDS = (
    Field("domain", "domain", lambda domain: domain.ascii, _domain, always=True),
    Field("email", "email", str, _email),
    Field("certificate", "issuer", lambda issuer: issuer.text, _issuer, always=True),
    Field("backend", "backend", lambda backend: str(backend) if backend else "", _backend),
    Field("backend_user", "backend_user", str, _backend_user),
    Field("service", "service", bool, _service),
    Field("firewall", "firewall", str, _firewall, always=True),
    Field("public_addresses", "public_addresses", list, _public_addresses),
    Field("allow", "allow", list, _allow),
    Field("local_users", "local_users", _write_local_users, _local_users),
    Field("redirect_from", "redirects", lambda names: [name.ascii for name in names], _redirects, "redirects"),
    Field("webhooks", "webhooks", _write_webhooks, _webhooks),
)
"""In the order of an answers file."""

REQUIRED = ("domain", "certificate")
"""Read also where they are missing: then the domain is refused, and the certificate is the usual one."""

JSON_ONLY = {"removed": "gone", "revoked": "revoked", "former_names": "dropped"}
"""Attribute -> key in answers.json, of what an answers file never says. The keys are those of the first version."""

JSON_ORDER = (
    *("domain", "certificate", "email", "backend", "service", "firewall", "public_addresses", "allow", "users"),
    *("gone", "revoked", "webhooks", "redirects", "dropped"),
)
"""The keys of earlier versions in their order, so that the same answers give the same bytes. New ones follow."""

JSON_REQUIRED = (
    "domain",
    "certificate",
    "email",
    "backend",
    "firewall",
    "public_addresses",
    "users",
    "gone",
    "revoked",
)
"""The keys that every version wrote, also where nothing stands behind them. Without one, the file was edited."""


# -- JSON ---------------------------------------------------------------------------------------------------------------


def to_json(answers: Answers) -> dict[str, Any]:
    """The answers for answers.json. It has hashes until the users are on the machine, and never a password."""
    table: dict[str, Any] = {each.json_key: each.write(getattr(answers, each.attribute)) for each in FIELDS}
    table["users"] = [write_user(user) for user in answers.users]
    table |= {key: list(getattr(answers, attribute)) for attribute, key in JSON_ONLY.items()}
    return {key: table[key] for key in dict.fromkeys((*JSON_ORDER, *table))}


def from_json(table: object) -> Answers:
    """What `to_json` gave; keys that an older version did not know may be missing. Raises WrongInput for anything else."""
    if not isinstance(table, dict):
        raise WrongInput("The answers are not a table.")
    if missing := [key for key in JSON_REQUIRED if key not in table]:
        raise WrongInput(f"The key {missing[0]} is missing.")
    if not table["certificate"]:  # in an answers file that is the usual one
        raise WrongInput("The key certificate is empty.")
    users = table["users"]
    others = {attribute: table.get(key, []) for attribute, key in JSON_ONLY.items()}
    if not isinstance(users, list) or not all(_are_texts(each) for each in others.values()):
        raise WrongInput(f"One of {', '.join(('users', *JSON_ONLY.values()))} is not a list.")
    found = read_fields(without_empty({each.key: table.get(each.json_key) for each in FIELDS}))
    found.update({attribute: tuple(each) for attribute, each in others.items()})
    return Answers(users=tuple(map(read_user, users)), **found)


def without_empty(table: Mapping[str, object]) -> dict[str, object]:
    """The same as an answers file has it: without what is EMPTY."""
    inner = {key: without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in inner.items() if value not in EMPTY}


def read_fields(table: Mapping[str, object]) -> dict[str, Any]:
    """Attribute -> value of each field in the table, by its key in an answers file. Raises WrongInput.

    The domain and the certificate are always among them.
    """
    found: dict[str, Any] = {}
    for each in FIELDS:
        if each.key in table or each.key in REQUIRED:
            found[each.attribute] = each.read(table.get(each.key, ""), found)
    return found


def field(key: str) -> Field:
    """The field of that key."""
    return next(each for each in FIELDS if each.key == key)


def write_user(user: User) -> dict[str, object]:
    """A user as JSON holds one."""
    return {"name": user.name, "hash": user.hash, "origin": user.origin}


def read_user(entry: object) -> User:
    """What `write_user` gave. Raises WrongInput for anything else."""
    if not isinstance(entry, dict):
        raise WrongInput("A user is not a table.")
    name, hashed, origin = (entry.get(key) for key in ("name", "hash", "origin"))
    if not isinstance(name, str) or not isinstance(hashed, str) or not isinstance(origin, str):
        raise WrongInput("A user has no name, hash or origin.")
    return User(parse_user(name), hashed, "answers" if origin == "answers" else "menu")


# -- what readers have in common ----------------------------------------------------------------------------------------


def at_key(key: str, parse: Callable[[str], T], text: str) -> T:
    """As `parse`; its error names the key."""
    try:
        return parse(text)
    except WrongInput as error:
        raise WrongInput(f"{key}: {error.message}", hint=error.hint, instead=error.instead) from None


def text_of(value: object, key: str, *, required: bool = False) -> str:
    """The value, if it is a text. Raises WrongInput, naming the key."""
    if not isinstance(value, str):
        example = {"firewall": '"open" or "leave"'}.get(key, '"..."')
        raise WrongInput(f"{key} is not a text in quotes.", hint=f"Write {key} = {example}")
    if required and not value.strip():
        raise WrongInput(f"The key {key} is missing.", hint=f'Add a line: {key} = "..."')
    return value


def networks_of(value: object, key: str, empty: str, missing: str) -> tuple[str, ...]:
    """The list of networks. `empty`: what an empty list would mean; `missing`: what no list means. Raises WrongInput."""
    example = 'Write allow = ["203.0.113.0/24", "2001:db8::/32"].'
    if not isinstance(value, list) or not _are_texts(value):
        raise WrongInput(f"{key} is not a list of addresses in quotes.", hint=example)
    if not value:
        raise WrongInput(f"{key} is an empty list: {empty}.", hint=f"{example} Without the key, {missing}.")
    try:
        return parse_allow(value)
    except WrongInput as error:
        raise WrongInput(f"{key}: {error.message}", hint=error.hint) from None


def known_keys(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    """Raises WrongInput for a key that is not one of them, with the one that was probably meant."""
    for key in table:
        if key not in known:
            near = ["password_file"] if key == "password" else difflib.get_close_matches(key, known, 1, 0.4)
            raise WrongInput(
                f"{where} has an unknown key: {key}.",
                hint=f"Did you mean {near[0]}?" if near else f"The keys are: {', '.join(known)}.",
            )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
