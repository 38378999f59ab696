"""The cookies of those who signed in, and the file that tells them to nginx.

A cookie is good only together with the hash it was given for: its fingerprint stands beside it, so a password changed by
anybody, with any tool, ends the cookie at the next run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

from hermes_setup.host import File, Host
from hermes_setup.nginx.render import Renderer
from hermes_setup.passwords import fingerprint
from hermes_setup.values import dataclass, field

GATE_FILE = "/etc/nginx/hermes-gate.conf"


REALM = "Hermes"


@dataclass(frozen=True)
class Token:
    """One cookie value. `name` "" is the program's own; `fingerprint` is that of the hash it goes with."""

    name: str
    value: str = field(repr=False)
    fingerprint: str

    @property
    def digest(self) -> str:
        """What may be written down to say "not this one any more"."""
        return hashlib.sha256(self.value.encode()).hexdigest()


_TOKEN = re.compile(r"# token ([0-9a-f]{16}|-) ([0-9a-f]{32}) (.*)\Z")


def tokens(text: str) -> tuple[Token, ...]:
    """The cookies in a gate file that we wrote."""
    found = (_TOKEN.match(line) for line in text.split("\n"))
    return tuple(Token(match.group(3), match.group(2), match.group(1)) for match in found if match)


def wanted_tokens(
    lines: Mapping[str, str], have: Sequence[Token], revoked: Sequence[str], fresh: Callable[[], str]
) -> tuple[Token, ...]:
    """A cookie for the program and one for each line: the one it has, if that still goes with the line's hash."""
    by_name = {token.name: token for token in have if token.digest not in revoked}
    found = [by_name.get("") or Token("", fresh(), "-")]
    for name, hashed in lines.items():
        mark = fingerprint(hashed)
        old = by_name.get(name)
        found.append(old if old and old.fingerprint == mark else Token(name, fresh(), mark))
    return tuple(found)


@dataclass(frozen=True)
class _Line:
    name: str
    value: str
    fingerprint: str
    key: str


def render_gate(wanted: Sequence[Token], renderer: Renderer) -> str:
    """The gate file for these cookies.

    nginx's map compares plain keys without case and only up to a length (ngx_http_map_module), so a name with letters
    becomes a regular expression: ALICE, added by hand tomorrow, must not get alice's cookie.
    """
    from hermes_setup.nginx import quoting

    lines = []
    for token in wanted:
        text = f"{REALM}:{token.name}"
        key = f"~{quoting.exact_regex(text)}" if re.search("[A-Za-z]", token.name) else quoting.map_key(text)
        lines.append(_Line(token.name, token.value, token.fingerprint, key))
    return renderer.render("gate.conf", tokens=lines)


def program_token(gate: str) -> str:
    """The program's own cookie value, "" when there is none yet."""
    return next((token.value for token in tokens(gate) if not token.name), "")


def digests(host: Host, name: str = "") -> tuple[str, ...]:
    """What may be written down of that user's cookies, "" for all of them, to end them."""
    node = host.look(GATE_FILE)
    gate = node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""
    return tuple(token.digest for token in tokens(gate) if name in ("", token.name))
