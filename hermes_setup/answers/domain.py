"""A host name, parsed once: after that a Domain can't be wrong. What is typed and what a file says go through the same parser."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass

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
        _refuse_common_mistakes(name)
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
                raise WrongInput(
                    f'{name} is not a host name: "{label}" may have 1 to 63 letters and digits, with - between them.',
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


def _refuse_common_mistakes(name: str) -> None:
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
