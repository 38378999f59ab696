"""nginx's configuration files as text: tokens, directives, blocks (ngx_conf_file.c).

crossplane would parse them, too, but it opens the paths itself, so it would ignore an Overlay, and it keeps no positions in
the text; see docs/explanation/decisions/0003-own-nginx-parser.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from hermes_setup.errors import HermesSetupError
from hermes_setup.values import dataclass, field


class BadConfig(HermesSetupError):
    """A file that nginx would not accept either."""


@dataclass(frozen=True)
class Directive:
    """One directive; `block` is None where it ends with a semicolon. `spans` are the positions of its arguments in the text."""

    name: str
    args: tuple[str, ...]
    line: int
    spans: tuple[tuple[int, int], ...] = field(default=(), compare=False)
    block: tuple[Directive, ...] | None = None


_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<mark>[{};])
      |(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      |(?P<word>(?:\\.|\$\{[^}]*\}|[^\s{};\\"'])(?:\\.|\$\{[^}]*\}|[^\s{};\\])*)""",
    re.VERBOSE | re.DOTALL,
)


_ESCAPE = re.compile(r"""\\(["'\\ trn])""")


_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}


@lru_cache(maxsize=256)  # several stages read the same files
def parse(text: str, path: str = "nginx.conf") -> tuple[Directive, ...]:
    """The directives of one file. Raises BadConfig with the line where nginx would stop."""
    tokens = list(_tokens(text, path))
    directives, rest = _block(tokens, 0, path, top=True)
    if rest != len(tokens):
        raise BadConfig(f'{path}:{tokens[rest][3]}: there is one "}}" too many.', hint=f"Look at: sudo nano {path}")
    return directives


def _tokens(text: str, path: str) -> Iterator[tuple[str, str, tuple[int, int], int]]:
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise BadConfig(f"{path}:{line}: a quote is never closed.", hint=f"Look at: sudo nano {path}")
        kind = match.lastgroup or ""
        if kind in ("mark", "quoted", "word"):
            yield kind, match.group(), match.span(), line
        line += match.group().count("\n")
        at = match.end()


def _block(
    tokens: Sequence[tuple[str, str, tuple[int, int], int]], at: int, path: str, *, top: bool
) -> tuple[tuple[Directive, ...], int]:
    found: list[Directive] = []
    words: list[tuple[str, tuple[int, int], int]] = []
    while at < len(tokens):
        kind, text, span, line = tokens[at]
        at += 1
        if kind != "mark":
            words.append((_unquote(text) if kind == "quoted" else _ESCAPE.sub(_plain, text), span, line))
        elif text == "}":
            if words or top:
                raise BadConfig(f'{path}:{line}: unexpected "}}".', hint=f"Look at: sudo nano {path}")
            return tuple(found), at
        elif not words:
            raise BadConfig(f'{path}:{line}: unexpected "{text}".', hint=f"Look at: sudo nano {path}")
        else:
            block: tuple[Directive, ...] | None = None
            name, _, start = words[0]
            if text == "{":
                if name.endswith("_by_lua_block"):
                    at, block = _skip_lua(tokens, at), ()
                else:
                    block, at = _block(tokens, at, path, top=False)
            args = tuple(word for word, _, _ in words[1:])
            found.append(Directive(name, args, start, tuple(where for _, where, _ in words[1:]), block))
            words = []
    if words or not top:
        raise BadConfig(f'{path}: the file is incomplete: a ";" or "}}" is missing.', hint=f"Look at: sudo nano {path}")
    return tuple(found), at


def _skip_lua(tokens: Sequence[tuple[str, str, tuple[int, int], int]], at: int) -> int:
    depth = 1
    while at < len(tokens) and depth:
        depth += {"{": 1, "}": -1}.get(tokens[at][1], 0)
        at += 1
    return at


def _plain(match: re.Match[str]) -> str:
    return _ESCAPED.get(match.group(1), match.group(1))


def _unquote(text: str) -> str:
    return _ESCAPE.sub(_plain, text[1:-1])
