"""What the user wants: parsed once, at the door. After that a Domain cannot be wrong.

The keyboard and the answers file give the same text to the same parsers; a file's table goes through `read_table`.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass, field, replace
from hermes_setup.webhooks import DASHBOARD, Hook, parse_hooks

T = TypeVar("T")

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETSENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_DEVIATIONS = "\u00df\u03c2\u200c\u200d"  # IDNA 2003 and 2008 read these as different names (UTS 46, section 7)
_EXAMPLE = "Type a name like hermes.example.com"


@dataclass(frozen=True)
class Domain:
    """A host name as DNS has it (ASCII, lower case, no final dot), and as a person reads it."""

    ascii: str
    shown: str

    def __str__(self) -> str:
        return self.ascii

    @classmethod
    def parse(cls, text: str) -> Domain:
        """A host name of two or more labels (RFC 1123 section 2.1; RFC 5891 for other scripts). Raises WrongInput."""
        name = unicodedata.normalize("NFC", text.strip())
        _refuse_what_is_no_name(name)
        shown = name.removesuffix(".").lower()
        if any(char in shown for char in _DEVIATIONS):
            raise WrongInput(
                f"{name} holds a letter that old and new programs translate differently.",
                hint="Type the name in its xn-- form, as your domain seller shows it.",
            )
        try:
            plain = shown if shown.isascii() else shown.encode("idna").decode("ascii").lower()
        except UnicodeError:
            raise WrongInput(f"{name} cannot be a host name.", hint=_EXAMPLE) from None
        if len(plain) > 253:
            raise WrongInput(f"The name has {len(plain)} characters; 253 is the most.", hint=_EXAMPLE)
        labels = plain.split(".")
        for label in labels:
            if not _LABEL.match(label):
                if not label:
                    raise WrongInput(f"{name} has two dots in a row, or one in front.", hint=_EXAMPLE)
                shape = f'"{label}"'
                raise WrongInput(
                    f"{name} is not a host name: {shape} may hold only letters, digits and - between them, 1 to 63.",
                    hint=_EXAMPLE,
                )
        if len(labels) == 1:
            raise WrongInput(f"{name} is a single word; a certificate needs a full name with a dot.", hint=_EXAMPLE)
        if labels[-1].isdigit():
            raise WrongInput(f"{name} ends in a number, so no name can be like that.", hint=_EXAMPLE)
        try:
            readable = plain.encode("ascii").decode("idna")
        except UnicodeError:
            raise WrongInput(f"{name} has an xn-- part that is not valid punycode.", hint=_EXAMPLE) from None
        return cls(plain, readable)

    @property
    def label(self) -> str:
        """Both forms where they differ: "bücher.example (xn--bcher-kva.example)"."""
        return self.ascii if self.ascii == self.shown else f"{self.shown} ({self.ascii})"


def _refuse_what_is_no_name(name: str) -> None:
    if not name:
        raise WrongInput("The domain is empty.", hint=_EXAMPLE)
    if "://" in name:
        rest = urlsplit(name).hostname if name.isprintable() and name.count("[") == name.count("]") == 0 else None
        raise WrongInput(
            "That is an address with its scheme; only the name is wanted.",
            hint=f"Type it without http:// and the path{f': {rest}' if rest else ''}.",
            instead=rest or "",
        )
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        pass
    else:
        raise WrongInput(
            f"{address} is an IP address. Certificates that renew themselves, and the passwords' safety, need a name.",
            hint="Point a name at this server (an A record at your domain seller), then type the name.",
        )
    if "*" in name:
        raise WrongInput(
            "A wildcard is not a place to open in a browser; its certificate needs DNS access, too.", hint=_EXAMPLE
        )
    if "/" in name:
        words = "A path does not belong to the name: Hermes needs a name of its own."
        raise WrongInput(words, hint=_EXAMPLE, instead=name.partition("/")[0])
    if re.search(r":\d*\Z", name):
        raise WrongInput("A port does not belong to the name: it is always 443 (https).", hint=_EXAMPLE)
    if "@" in name:
        raise WrongInput("That looks like an e-mail address.", hint=_EXAMPLE)
    bad = [char for char in name if char.isspace() or not char.isprintable() or char in ";{}$\"'`\\<>|&()#%,!?=+~^"]
    if bad:
        char = bad[0]
        seen = "a space" if char == " " else f"{char!r}"
        raise WrongInput(f"A host name cannot hold {seen}.", hint=_EXAMPLE)


def parse_email(text: str) -> str:
    """An address for the CA's account, "" for none. Not RFC 5321 in full: what Let's Encrypt takes. Raises WrongInput."""
    text = text.strip()
    if not text:
        return ""
    hint = "Type an address like me@example.com, or nothing."
    if len(text) > 254 or not text.isascii() or not text.isprintable():
        raise WrongInput("That is not an e-mail address that a CA takes.", hint=hint)
    local, at, host = text.rpartition("@")
    if (
        not at
        or not re.fullmatch(r"[A-Za-z0-9_%+=~^{}|/*!?&#'`.$-]{1,64}", local)
        or local[0] in "-."
        or local[-1] == "."
    ):
        raise WrongInput(f"{text} is not an e-mail address.", hint=hint)
    if ".." in local or "'" in local or "`" in local or "$" in local:
        raise WrongInput(f"{text} is not an e-mail address.", hint=hint)
    try:
        Domain.parse(host)
    except WrongInput as error:
        words = f"{text} is not an e-mail address that a CA takes"
        raise WrongInput(f"{words}: {host} is no full domain.", hint=hint) from error
    return f"{local}@{host.lower()}"


def parse_user(text: str) -> str:
    """A user name that htpasswd and HTTP Basic can carry (RFC 7617 section 2: no colon). Raises WrongInput."""
    name = unicodedata.normalize("NFC", text.strip(" "))
    hint = "Type a name like alice: up to 64 characters, no colon, not starting with - or #."
    if not name:
        raise WrongInput("The user name is empty.", hint=hint)
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name):
        raise WrongInput("The user name holds a control character.", hint=hint)
    if ":" in name:
        raise WrongInput(
            "A user name cannot hold a colon: browsers send name and password with one between.", hint=hint
        )
    if name[0] in "-#":
        raise WrongInput(f"A user name cannot start with {name[0]}: it would read as a flag or a comment.", hint=hint)
    if len(name) > 64:
        raise WrongInput(f"The user name has {len(name)} characters; 64 is the most.", hint=hint)
    return name


@dataclass(frozen=True)
class Issuer:
    """Who signs the certificate. `directory` is the ACME directory URL, "" for self-signed."""

    text: str
    directory: str

    @classmethod
    def parse(cls, text: str) -> Issuer:
        """One of the three words, or the https URL of an ACME directory (RFC 8555 section 7.1.1). Raises WrongInput."""
        word = text.strip()
        known = {"letsencrypt": LETSENCRYPT, "letsencrypt-staging": LETSENCRYPT_STAGING, "self-signed": ""}
        if word.lower() in known:
            return cls(word.lower(), known[word.lower()])
        for name, url in known.items():
            if url and word == url:
                return cls(name, url)
        hint = "Type letsencrypt, letsencrypt-staging, self-signed, or the https:// address of an ACME directory."
        if "://" not in word:
            near = difflib.get_close_matches(word.lower(), known, 1)
            raise WrongInput(f'"{word}" is no kind of certificate.', hint=f"Did you mean {near[0]}?" if near else hint)
        if not re.fullmatch(
            r"https://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~%+=&?/-]*)?", word
        ):
            raise WrongInput(f"{word} is not an address that ACME can use.", hint=hint)
        return cls(word, word)

    @property
    def self_signed(self) -> bool:
        """True when this machine signs it itself."""
        return not self.directory

    @property
    def public(self) -> bool:
        """True for Let's Encrypt's production, whose limits are for real."""
        return self.directory == LETSENCRYPT


@dataclass(frozen=True)
class Backend:
    """Where Hermes listens: an IP address and a port."""

    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Backend:
        """Like 127.0.0.1:9119, [::1]:9119, localhost:9119 or 9119. Raises WrongInput."""
        hint = "Type an address and a port like 127.0.0.1:9119"
        match = re.fullmatch(r"(?:(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+|localhost)):)?([0-9]{1,5})", text.strip())
        if not match:
            raise WrongInput(f"{text.strip() or 'Nothing'} is not an address and a port.", hint=hint)
        six, four, port = match.groups()
        try:
            address = ipaddress.ip_address(six or ("127.0.0.1" if four in (None, "localhost") else four))
        except ValueError:
            raise WrongInput(f"{six or four} is not an IP address.", hint=hint) from None
        if not 1 <= int(port) <= 65535:
            raise WrongInput(f"{port} is not a port; they go from 1 to 65535.", hint=hint)
        if address.is_unspecified or address.is_multicast:
            raise WrongInput(f"{address} is not an address that one can connect to.", hint=hint)
        return cls(str(address), int(port))

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def local(self) -> bool:
        """True when only this machine can reach it."""
        return ipaddress.ip_address(self.address).is_loopback


@lru_cache
def _inner() -> tuple[AnyNetwork, ...]:
    """Addresses that mean something only within one network. (ipaddress.is_private also counts those kept for examples.)"""
    four = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16"
    return tuple(ipaddress.ip_network(net) for net in f"{four} ::/127 fc00::/7 fe80::/10".split())


def worldwide(address: str) -> bool:
    """True for an address that could be reached from everywhere."""
    return not any(ipaddress.ip_address(address) in net for net in _inner())


DEFAULT_BACKEND = Backend("127.0.0.1", DASHBOARD)


AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_network(text: str) -> str:
    """A network (203.0.113.0/24) or one address (203.0.113.5, without its /32), in its short form. Raises WrongInput.

    IPv4 in the clothes of IPv6 (RFC 4291 section 2.5.5.2) is IPv4: nginx compares it so (ngx_http_geo_module.c).
    """
    word = text.strip()
    hint = "Type an address like 203.0.113.5, or a network like 203.0.113.0/24 or 2001:db8::/32."
    alone, slash, length = word.partition("/")
    try:
        address = ipaddress.ip_address(alone)
    except ValueError:
        raise WrongInput(f"{word or 'Nothing'} is not an address or a network.", hint=hint) from None
    if "%" in alone:
        raise WrongInput(f"{word} names a network card; an address alone is wanted.", hint=hint)
    if slash and not (length.isascii() and length.isdecimal() and int(length) <= address.max_prefixlen):
        raise WrongInput(f"{word}: behind the / stands a number from 0 to {address.max_prefixlen}.", hint=hint)
    bits = int(length) if slash else address.max_prefixlen
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None and bits >= 96:
        address, bits = mapped, bits - 96
    network = ipaddress.ip_network((address, bits), strict=False)
    if address != network.network_address:
        raise WrongInput(
            f"{word} is not the beginning of a network.",
            hint=f"For the whole network write {network}; for the one address write {address}.",
            instead=str(network),
        )
    if bits == network.max_prefixlen and (address.is_unspecified or address.is_multicast):
        raise WrongInput(f"{address} is nobody's address.", hint=hint)
    return str(address) if bits == network.max_prefixlen else str(network)


def parse_allow(texts: Sequence[str]) -> tuple[str, ...]:
    """The networks in the order given, each once. Raises WrongInput for one that is none, and for one named twice."""
    found: list[str] = []
    for text in texts:
        network = parse_network(text)
        if network in found:
            raise WrongInput(f"{network} is named twice among the allowed addresses.", hint="Keep one of the two.")
        found.append(network)
    return tuple(found)


def permits(allow: Sequence[str], address: str) -> bool:
    """True when that address may open the dashboard: it is in one of the networks, or there is no list at all."""
    one = ipaddress.ip_network(parse_network(address))
    return not allow or any(one.version == net.version and one.subnet_of(net) for net in networks(allow))  # type: ignore[arg-type]  # same version


def networks(allow: Sequence[str]) -> tuple[AnyNetwork, ...]:
    """The parsed list, to compute with."""
    return tuple(ipaddress.ip_network(text) for text in allow)


@dataclass(frozen=True)
class User:
    """Someone who may sign in. `hash` "" means: the line that is on the machine stays as it is."""

    name: str
    hash: str = field(default="", repr=False)
    origin: Literal["answers", "menu"] = "menu"


@dataclass(frozen=True)
class Webhooks:
    """Which gateway platforms can be reached from the internet, without a password: they check their senders themselves."""

    hooks: tuple[Hook, ...]
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
        return cls(parse_hooks(table["platforms"]), host, parse_allow(table["allow"]))


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

    def settled(self) -> Answers:
        """The same wishes once they hold: no hashes (the machine has them), nobody left to remove or to sign out.

        The names that were ours are kept: the certificate of an earlier name may hold them for years.
        """
        users = tuple(replace(user, hash="") for user in self.users)
        return replace(self, users=users, gone=(), revoked=(), lockout=False)


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
        parse_hooks(platforms),
        webhooks_host(host, domain, earlier) if host else None,
        _allow(value["allow"], "[webhooks] allow", "no webhook would get through", "its senders may come from anywhere")
        if "allow" in value
        else (),
    )


def webhooks_host(text: str, domain: Domain, earlier: Sequence[Domain]) -> Domain | None:
    """The webhooks' own name; None when it is the dashboard's. Raises WrongInput, for an earlier name of it, too."""
    host = Domain.parse(text)
    if host in earlier:
        raise WrongInput(
            f"{host} cannot be the webhooks' host: it is an earlier name of the dashboard, which leads to {domain}.",
            hint="Give the webhooks another name; or first let go of the earlier one (redirect_from; in the menu: Domain).",
        )
    return None if host.ascii == domain.ascii else host


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
