"""The values of answers, parsed once, at the door. After that a Domain cannot be wrong.

The keyboard and the answers file give the same text to the same parsers.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from hermes_setup.answers.platforms import DASHBOARD_PORT
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass

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
                f"{name} contains a letter that old and new programs encode differently.",
                hint="Type the name in its xn-- form, as your registrar (where you bought the domain) shows it.",
            )
        try:
            plain = shown if shown.isascii() else shown.encode("idna").decode("ascii").lower()
        except UnicodeError:
            raise WrongInput(f"{name} can't be a host name.", hint=_EXAMPLE) from None
        if len(plain) > 253:
            raise WrongInput(f"The name has {len(plain)} characters; 253 is the most.", hint=_EXAMPLE)
        labels = plain.split(".")
        for label in labels:
            if not _LABEL.match(label):
                if not label:
                    raise WrongInput(f"{name} has two dots in a row, or starts with one.", hint=_EXAMPLE)
                shape = f'"{label}"'
                raise WrongInput(
                    f"{name} is not a host name: {shape} may have 1 to 63 letters and digits, with - between them.",
                    hint=_EXAMPLE,
                )
        if len(labels) == 1:
            raise WrongInput(f"{name} is a single word; a certificate needs a full name with a dot.", hint=_EXAMPLE)
        if labels[-1].isdigit():
            raise WrongInput(f"{name} ends in a number, so it can't be a host name.", hint=_EXAMPLE)
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
            "That is a whole URL; type only the name.",
            hint=f"Type it without http:// and the path{f': {rest}' if rest else ''}.",
            instead=rest or "",
        )
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        pass
    else:
        raise WrongInput(
            f"{address} is an IP address. Certificates that renew themselves, and safe passwords, need a name.",
            hint="Point a name at this server (an A record at your registrar, where you bought the domain), then type the name.",
        )
    if "*" in name:
        raise WrongInput(
            "A wildcard can't be opened in a browser, and its certificate would need access to your DNS.", hint=_EXAMPLE
        )
    if "/" in name:
        words = "Leave the path out: Hermes needs a name of its own."
        raise WrongInput(words, hint=_EXAMPLE, instead=name.partition("/")[0])
    if re.search(r":\d*\Z", name):
        raise WrongInput("Leave the port out: it is always 443 (https).", hint=_EXAMPLE)
    if "@" in name:
        raise WrongInput("That looks like an e-mail address.", hint=_EXAMPLE)
    bad = [char for char in name if char.isspace() or not char.isprintable() or char in ";{}$\"'`\\<>|&()#%,!?=+~^"]
    if bad:
        char = bad[0]
        seen = "a space" if char == " " else f"{char!r}"
        raise WrongInput(f"A host name can't contain {seen}.", hint=_EXAMPLE)


def parse_email(text: str) -> str:
    """An address for the CA's account, "" for none. Not RFC 5321 in full: what Let's Encrypt takes. Raises WrongInput."""
    text = text.strip()
    if not text:
        return ""
    hint = "Type an address like me@example.com, or nothing."
    if len(text) > 254 or not text.isascii() or not text.isprintable():
        raise WrongInput("That is not an e-mail address that a certificate authority accepts.", hint=hint)
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
        words = f"{text} is not an e-mail address that a certificate authority accepts"
        raise WrongInput(f"{words}: {host} is not a full domain.", hint=hint) from error
    return f"{local}@{host.lower()}"


def parse_user(text: str) -> str:
    """A user name that htpasswd and HTTP Basic can carry (RFC 7617 section 2: no colon). Raises WrongInput."""
    name = unicodedata.normalize("NFC", text.strip(" "))
    hint = "Type a name like alice: up to 64 characters, no colon, not starting with - or #."
    if not name:
        raise WrongInput("The user name is empty.", hint=hint)
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name):
        raise WrongInput("The user name contains a control character.", hint=hint)
    if ":" in name:
        raise WrongInput(
            "A user name can't contain a colon: browsers send one between the name and the password.", hint=hint
        )
    if name[0] in "-#":
        raise WrongInput(f"A user name can't start with {name[0]}: it would look like a flag or a comment.", hint=hint)
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
            raise WrongInput(
                f'"{word}" is not a kind of certificate.', hint=f"Did you mean {near[0]}?" if near else hint
            )
        if not re.fullmatch(
            r"https://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~%+=&?/-]*)?", word
        ):
            raise WrongInput(f"{word} is not a usable address of an ACME directory.", hint=hint)
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
            raise WrongInput(f"{address} is not an address that can be connected to.", hint=hint)
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


DEFAULT_BACKEND = Backend("127.0.0.1", DASHBOARD_PORT)


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
        raise WrongInput(f"{word} names a network interface; type the address alone.", hint=hint)
    if slash and not (length.isascii() and length.isdecimal() and int(length) <= address.max_prefixlen):
        raise WrongInput(f"{word}: after the / comes a number from 0 to {address.max_prefixlen}.", hint=hint)
    bits = int(length) if slash else address.max_prefixlen
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None and bits >= 96:
        address, bits = mapped, bits - 96
    network = ipaddress.ip_network((address, bits), strict=False)
    if address != network.network_address:
        raise WrongInput(
            f"{word} is not the first address of a network.",
            hint=f"For the whole network write {network}; for the one address write {address}.",
            instead=str(network),
        )
    if bits == network.max_prefixlen and (address.is_unspecified or address.is_multicast):
        raise WrongInput(f"{address} is not an address anyone can have.", hint=hint)
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


def webhooks_host(text: str, domain: Domain, earlier: Sequence[Domain]) -> Domain | None:
    """The webhooks' own name; None when it is the dashboard's. Raises WrongInput, for an earlier name of it, too."""
    host = Domain.parse(text)
    if host in earlier:
        raise WrongInput(
            f"{host} can't be the webhooks' host: it is an earlier name of the dashboard, and redirects to {domain}.",
            hint="Give the webhooks another name; or first give up the earlier one (redirect_from; in the menu: Domain).",
        )
    return None if host.ascii == domain.ascii else host


def ca_name(server: str) -> str:
    """A CA as a person calls it."""
    known = {LETSENCRYPT: "Let's Encrypt", LETSENCRYPT_STAGING: "Let's Encrypt's staging"}
    return known.get(server, server or "nobody")
