"""The cookies of those who signed in, and the file from which nginx knows them.

A cookie is only valid together with the hash it was given for: that hash's fingerprint is beside it, so a password that
anyone changed, with any tool, ends the cookie at the next run.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence

from hermes_setup.host import File, Host
from hermes_setup.nginx import quoting
from hermes_setup.nginx.render import Renderer
from hermes_setup.passwords import fingerprint
from hermes_setup.values import dataclass, field

GATE_FILE = "/etc/nginx/hermes-gate.conf"
REALM = "Hermes"


def make_token() -> str:
    """A new random value for a cookie: 128 bits, in hex."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Cookie:
    """A user's cookie. `name` "" is the program's own; `fingerprint` is that of the hash it goes with."""

    name: str
    value: str = field(repr=False)
    fingerprint: str

    @property
    def digest(self) -> str:
        """What may be written down to revoke it."""
        return hashlib.sha256(self.value.encode()).hexdigest()


def gate_text(host: Host) -> str:
    """The gate file as it is, "" when there is none."""
    node = host.look(GATE_FILE)
    return node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""


_LINE = re.compile(r"# token ([0-9a-f]{16}|-) ([0-9a-f]{32}) (.*)\Z")


def parse(text: str) -> tuple[Cookie, ...]:
    """The cookies in a gate file that we wrote."""
    found = (_LINE.match(line) for line in text.split("\n"))
    return tuple(Cookie(match.group(3), match.group(2), match.group(1)) for match in found if match)


def wanted(
    lines: Mapping[str, str], current: Sequence[Cookie], revoked: Sequence[str], fresh: Callable[[], str]
) -> tuple[Cookie, ...]:
    """A cookie for the program and one for each line: the current one, if that still goes with the line's hash."""
    by_name = {cookie.name: cookie for cookie in current if cookie.digest not in revoked}
    found = [by_name.get("") or Cookie("", fresh(), "-")]
    for name, hashed in lines.items():
        mark = fingerprint(hashed)
        old = by_name.get(name)
        found.append(old if old and old.fingerprint == mark else Cookie(name, fresh(), mark))
    return tuple(found)


COOKIE = "__Host-hermes_gate"
HEAD = 14
"""Characters of a cookie that nginx looks it up by: the longest key for hash buckets of 32 bytes (ngx_hash.c)."""


@dataclass(frozen=True)
class _GateLine:
    name: str
    value: str
    fingerprint: str
    head: str
    known: str
    key: str


def render(cookies: Sequence[Cookie], renderer: Renderer) -> str:
    """The gate file for these cookies.

    nginx's map compares plain keys without case and only up to a length (ngx_http_map_module), so a name is a regular
    expression: ALICE, added by hand tomorrow, must not get alice's cookie.
    """
    lines = []
    for cookie in cookies:
        head, rest = cookie.value[:HEAD], cookie.value[HEAD:]
        whose = f"user {cookie.name}" if cookie.name else "look"
        known = quoting.map_value(f"{rest} {whose}")
        key = f"~{quoting.exact_regex(cookie.name)}"
        lines.append(_GateLine(cookie.name, cookie.value, cookie.fingerprint, head, known, key))
    return renderer.render("gate.conf", tokens=lines, realm=REALM)


def with_ended(text: str, now: str, fresh: Sequence[str]) -> tuple[str, list[str]]:
    """An earlier gate file, in which the cookies that `now` has no more have fresh values; and the names of their users.

    Whatever version wrote it: nothing in such a file looks like a cookie's value or a part of one but these.
    """
    good = {(cookie.name, cookie.value) for cookie in parse(now)}
    ended = [cookie for cookie in parse(text) if (cookie.name, cookie.value) not in good]
    for cookie, value in zip(ended, fresh, strict=False):
        for old, new in (
            (cookie.value, value),
            (cookie.value[:HEAD], value[:HEAD]),
            (cookie.value[HEAD:], value[HEAD:]),
        ):
            text = text.replace(old, new)
    return text, [cookie.name for cookie in ended if cookie.name]


def program_cookie(gate: str) -> str:
    """The value of the program's own cookie, "" when there is none yet."""
    return next((cookie.value for cookie in parse(gate) if not cookie.name), "")


def signs_everyone_out(gate: str) -> bool:
    """True for a gate file of an earlier version, whose cookies had another name: the next one knows none of them."""
    return "$cookie_hermes_gate" in gate


def digests(host: Host, name: str = "") -> tuple[str, ...]:
    """What may be written down to revoke that user's cookies on this machine; "" for those of all users."""
    return tuple(cookie.digest for cookie in parse(gate_text(host)) if name in ("", cookie.name))
