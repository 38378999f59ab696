"""What may happen to a request: the laws of the gate and its tables, read as a visitor's manual. No directive stands here.

Two readings of a request are kept apart. What a careful reader finds in it (`strict`) tells how it must be answered, where
it is plain; what anybody could find in it tells what may never happen, and that is asked of every request.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import cached_property

from .asked import SEC_FETCH_SITE, Asked
from .sites import OWN, PEOPLE, Hook, Person, Site, hook_at, within

GATE = "__Host-hermes_gate"
SIGN_IN, SIGN_OUT, PASSWORD = "/.hermes/sign-in", "/.hermes/sign-out", "/.hermes/password"
CHALLENGE = "/.well-known/acme-challenge/"


def normal(target: str) -> str | None:
    """The path that an address means (RFC 3986, 6.2.2; slashes in a row are one); None where it means none."""
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    if not path.startswith("/") or re.search(r"%(?![0-9A-Fa-f]{2})", path):
        return None
    raw = re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), path)
    if "\0" in raw:
        return None
    kept: list[str] = []
    parts = re.sub("/+", "/", raw).split("/")[1:]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "..":
            if not kept:
                return None
            kept.pop()
        elif part != ".":
            kept.append(part)
            continue
        if last:
            kept.append("")
    return "/" + "/".join(kept)


def passwords(value: bytes, *, strict: bool) -> Person | None:
    """Whose name and password that Authorization header is; None: nobody's."""
    if strict:
        found = re.fullmatch(rb"Basic ([A-Za-z0-9+/]+={0,2})", value)
        encoded = found[1] if found else b""
    else:
        encoded = re.sub(rb"[^A-Za-z0-9+/]", b"", re.sub(rb"(?i)^\s*basic\s*", b"", value).split(b"=")[0])
    try:
        pair = base64.b64decode(encoded if strict else encoded + b"=" * (-len(encoded) % 4))
    except binascii.Error:
        return None
    name, colon, password = pair.partition(b":")
    for person in PEOPLE:
        # crypt(3) ends a password at a NUL
        said = password if strict else password.split(b"\0")[0]
        if colon and name == person.name.encode() and said == person.password.encode():
            return person
    return None


def tokens(values: list[bytes], *, strict: bool) -> list[str]:
    """What stands in the gate's cookie. Strict: as browsers write it, once."""
    joined = b"; ".join(values).decode("latin-1")
    found = [part.partition("=") for part in re.split("; " if strict else r";[ \t]*", joined)]
    if not strict:
        found = [(name.strip(" \t"), "", value.strip(" \t")) for name, _, value in found]
    return [value for name, _, value in found if name == GATE]


@dataclass(frozen=True)
class Oracle:
    """What may happen to that request on that site."""

    site: Site
    asked: Asked

    # Who asks.

    @cached_property
    def address(self) -> str:
        """Whose address counts: a trusted proxy says it, in one header."""
        said = self.asked.one("CF-Connecting-IP")
        if said and self.asked.secure and within(self.asked.source, self.site.cloudflare):
            try:
                within(said, ())
            except ValueError:
                return self.asked.source
            return said
        return self.asked.source

    @cached_property
    def name(self) -> str | None:
        """The name that was asked for; None where that is not said in one way."""
        if self.asked.host is None or self.asked.all("Host"):
            return None
        found = re.match(r"https?://([^/]*)", self.asked.target)
        host = (found[1] if found else self.asked.host).lower()
        return re.sub(r"\.?(:\d+)?$", "", host)

    @cached_property
    def path(self) -> str | None:
        """The path that is meant."""
        return normal(re.sub(r"^https?://[^/?#]*", "", self.asked.target))

    @cached_property
    def holder(self) -> str | None:
        """Who is signed in by a plain cookie: a name, "" for the program itself; None for nobody."""
        shown = tokens(self.asked.all("Cookie"), strict=True)
        return self._owner(shown[0]) if len(shown) == 1 else None

    @cached_property
    def holders(self) -> set[str]:
        """Who could be, however the cookies are read."""
        shown = tokens(self.asked.all("Cookie"), strict=False) + tokens(self.asked.all("Cookie"), strict=True)
        return {owner for owner in map(self._owner, shown) if owner is not None}

    def _owner(self, token: str) -> str | None:
        if token == OWN:
            # from the machine itself; where two addresses are said, that is open
            return "" if self.address == "127.0.0.1" or len(self.asked.all("CF-Connecting-IP")) > 1 else None
        return next((person.name for person in PEOPLE if person.token and person.token == token), None)

    @cached_property
    def person(self) -> Person | None:
        """Whose password is plainly right."""
        values = self.asked.all("Authorization")
        return passwords(values[0], strict=True) if len(values) == 1 else None

    @cached_property
    def persons(self) -> list[Person]:
        """Whose could be."""
        return [found for value in self.asked.all("Authorization") if (found := passwords(value, strict=False))]

    @cached_property
    def site_says(self) -> str | None:
        """What a browser says of where the request comes from; None where no browser would say it so."""
        said = self.asked.one("Sec-Fetch-Site")
        return said if said in SEC_FETCH_SITE else None

    @cached_property
    def socket(self) -> bool:
        """It wants a WebSocket. HTTP/2 knows no such header."""
        return self.asked.one("Upgrade") == "websocket" and self.asked.version == "1.1"

    @cached_property
    def visitor(self) -> str:
        """page, script, old or program, as the table of who asks has it."""
        mode, origin, accept = (self.asked.one(name) or "" for name in ("Sec-Fetch-Mode", "Origin", "Accept"))
        if self.site_says:
            return "page" if mode == "navigate" else "script"
        no_browsers = any(b"|" in each for name in ("Site", "Mode") for each in self.asked.all(f"Sec-Fetch-{name}"))
        if self.socket and origin and not no_browsers:
            return "script"
        return "old" if "text/html" in accept else "program"

    # What is never allowed, whoever asks.

    @cached_property
    def refused(self) -> bool:
        """Its address is not among those that may open the dashboard."""
        if not self.site.allow or within(self.address, self.site.allow):
            return False
        from_here = self.address == "127.0.0.1" and self.site.here
        return not (from_here and self.asked.one("X-Hermes-Look") == OWN)

    @cached_property
    def foreign(self) -> bool:
        """A page elsewhere acts through the visitor: all but a link that is followed."""
        mode, dest, origin = (self.asked.one(name) or "" for name in ("Sec-Fetch-Mode", "Sec-Fetch-Dest", "Origin"))
        reads = self.asked.method in ("GET", "HEAD")
        if self.site_says in ("same-site", "cross-site"):
            followed = reads and mode == "navigate" and dest == "document"
            if not followed:
                return True
        acts = (not reads and self.site_says != "same-origin") or self.socket
        return acts and origin != "" and origin.lower() != self.site.origin

    @cached_property
    def password_counts(self) -> bool:
        """A right password may let this one in, or earn its cookie."""
        return self.path in (SIGN_IN, PASSWORD) or self.visitor in ("program", "old")

    @cached_property
    def by_a_browser(self) -> bool:
        """A browser sends it, which a platform does not."""
        return any(each not in (b"", b"0") for each in self.asked.all("Sec-Fetch-Site"))

    # How it is answered.

    @cached_property
    def hook(self) -> Hook | None:
        """The platform's place that it goes to."""
        if not self.asked.secure or self.name not in self.site.hooks_on:
            return None
        return hook_at(self.site, re.split("[?#]", re.sub(r"^https?://[^/?#]*", "", self.asked.target))[0])

    @cached_property
    def outcomes(self) -> frozenset[str] | None:
        """The kinds of answer (see check.kind) that the tables allow; None: the tables say nothing."""
        if not self.asked.plain or self.name is None:
            return None
        if self.path is None:
            return frozenset({"400"})
        if not self.asked.secure:
            return self._over_http()
        if self.hook:
            if self.asked.method not in self.hook.methods or self.by_a_browser:
                return frozenset({"403"})
            if self.site.hooks_allow and not within(self.address, self.site.hooks_allow):
                return frozenset({"403"})
            return frozenset({"hook"})
        if self.name in self.site.hooks_on and hook_at(self.site, self.path):
            return frozenset({"404", "403"})  # a platform's path, spelled as no platform spells it
        if self.name == self.site.domain:
            large = self.path == SIGN_IN and len(self.asked.body) > 1024
            return self._dashboard(self.path) | (frozenset({"413"}) if large else frozenset())
        if self.name in self.site.hooks_on and self.name not in self.site.earlier:
            return self._challenge(self.path) if self.path.startswith(CHALLENGE) else frozenset({"404"})
        if self.site.earlier.get(self.name):
            if self.path.startswith(CHALLENGE):
                return self._challenge(self.path)
            return frozenset({"moved"})
        return frozenset({"421"})

    def _over_http(self) -> frozenset[str]:
        assert self.path is not None
        if self.path.startswith(CHALLENGE):
            return self._challenge(self.path) | {"404", "405", "403"}  # or Debian's own server, of other names
        return frozenset({"moved", "503", "404", "200", "405"})  # the last three: Debian's own page for other names

    def _challenge(self, path: str) -> frozenset[str]:
        if self.asked.method not in ("GET", "HEAD"):
            return frozenset({"404", "405", "403"})
        if path != f"{CHALLENGE}tok":
            return frozenset({"404", "403", "moved"})
        parts = {"206", "416", "304", "412"} if self.asked.all("Range") or self.asked.all("If-None-Match") else set()
        return frozenset({"challenge file"}) | parts

    def _dashboard(self, path: str) -> frozenset[str]:
        if path.startswith(CHALLENGE):
            return self._challenge(path)
        if self.refused:
            return frozenset({"refused"})
        if path == SIGN_IN:
            return self._sign_in()
        if path == PASSWORD:
            return self._password()
        if path == SIGN_OUT:
            return self._sign_out()
        if self.foreign:
            return frozenset({"403"})
        if self.holder is not None:
            return frozenset({"hermes"})
        typed = bool(self.asked.all("Authorization"))
        if self.visitor == "page" or (self.visitor == "old" and not typed):
            return frozenset({"page"})
        if self.visitor == "script":
            return frozenset({"no challenge"})
        return frozenset({"hermes" if self.person else "challenge"})

    def _sign_in(self) -> frozenset[str]:
        if self.foreign:
            return frozenset({"403"})
        if self.asked.method != "POST":
            return frozenset({"303"})
        if self.person:
            return frozenset({"signed in"} if self.person.token else {"204"})
        return frozenset({"wrong"})

    @property
    def _own_or_silent(self) -> bool:
        """It comes from a page of ours, from nowhere, or the browser does not say."""
        return self.site_says in ("same-origin", "none") or not self.asked.one("Sec-Fetch-Site")

    def _password(self) -> frozenset[str]:
        opened = (self.asked.one("Sec-Fetch-Mode") or "navigate") == "navigate"
        upgrades = self.asked.all("Upgrade") and self.asked.version != "2"  # where that header is not sent
        if self.asked.method != "GET" or not self._own_or_silent or not opened or upgrades:
            return frozenset({"403"})
        if self.person:
            return frozenset({"to the page"} if self.person.token else {"303"})
        return frozenset({"challenge"})

    def _sign_out(self) -> frozenset[str]:
        origin = self.asked.one("Origin") or ""
        ours = origin == "" or origin.lower() == self.site.origin
        kept = {"304"} if self.asked.all("If-None-Match") else set()
        mode, dest = (self.asked.one(name) or "" for name in ("Sec-Fetch-Mode", "Sec-Fetch-Dest"))
        opened = self.asked.method == "GET" and mode in ("", "navigate") and dest in ("", "document")
        return frozenset({"signed out"} if self._own_or_silent and ours and opened else {"button"} | kept)

    # What the log may say.

    @cached_property
    def named(self) -> set[str]:
        """Who may stand in the log as signed in."""
        return {"-", *(self.holders - {""}), *(each.name for each in self.persons if self.password_counts)}
