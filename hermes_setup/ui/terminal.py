"""What this terminal can do, and text that can't harm it.

Everything that we write ourselves is ASCII, so that a serial console with LANG=C shows it; only what others wrote
(names, file contents, answers from the network) may contain more, and goes through `printable`.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import TextIO

from hermes_setup.values import dataclass

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI (ECMA-48, 5.4)
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC with their end
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)


@dataclass(frozen=True)
class Terminal:
    """`keyboard`: someone can answer. `screen`: talk goes to a terminal. `moves`: its cursor may be moved."""

    keyboard: bool
    screen: bool
    moves: bool
    unicode: bool

    @classmethod
    def here(
        cls, environ: Mapping[str, str] = os.environ, stdin: TextIO | None = None, stderr: TextIO | None = None
    ) -> Terminal:
        """This process's terminal. With TERM=dumb or HERMES_SETUP_PLAIN=1 (for screen readers) the cursor is not moved."""
        screen = _is_terminal(stderr or sys.stderr)
        fixed = environ.get("TERM", "dumb") in ("", "dumb", "unknown") or bool(environ.get("HERMES_SETUP_PLAIN"))
        return cls(
            keyboard=_is_terminal(stdin or sys.stdin),
            screen=screen,
            moves=screen and not fixed,
            unicode=says_utf8(environ) and _is_utf8(stderr or sys.stderr),
        )


def says_utf8(environ: Mapping[str, str]) -> bool:
    """True when the locale says UTF-8 (locale(7): LC_ALL, then LC_CTYPE, then LANG).

    Python itself sets LC_CTYPE=C.UTF-8 where the locale is C (PEP 538), so that value alone says nothing about the
    terminal.
    """
    language = environ.get("LANG", "")
    ctype = environ.get("LC_CTYPE", "")
    if ctype in ("C.UTF-8", "C.utf8", "UTF-8") and language in ("", "C", "POSIX"):
        ctype = ""
    locale = environ.get("LC_ALL") or ctype or language
    return locale.lower().partition(".")[2].partition("@")[0].replace("-", "") == "utf8"


def columns(stream: TextIO, environ: Mapping[str, str] = os.environ) -> int:
    """How wide the stream's terminal is now, or COLUMNS says it is; 80 where neither says (a serial console says 0)."""
    wanted = environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal, or closed
        return 80


def printable(text: str, *, unicode: bool = True) -> str:
    r"""The text on one line or more, without anything that controls a terminal.

    Escape sequences are dropped, other control, direction-changing and unpaired characters become "?", tabs four
    spaces. Without `unicode`, what is not ASCII is written as \u escapes.
    """
    text = _ESCAPES.sub("", text.replace("\r\n", "\n")).replace("\t", "    ")
    text = "".join("?" if _is_control(char) else char for char in text)
    return text if unicode else text.encode("ascii", "backslashreplace").decode("ascii")


def one_line(text: str, *, unicode: bool = True) -> str:
    """`printable`, with line breaks as spaces."""
    return " ".join(printable(text, unicode=unicode).split("\n"))


def _is_control(char: str) -> bool:
    return char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _is_utf8(stream: TextIO | None) -> bool:
    return (getattr(stream, "encoding", "") or "").lower().replace("-", "") == "utf8"
