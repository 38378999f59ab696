"""What a terminal can do, and text that can't harm it."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios
from pathlib import Path

import pytest

from hermes_setup.ui.terminal import Terminal, columns, one_line, printable, says_utf8


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold]text[/bold]", "plain [bold]text[/bold]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0;0;0\x1b\\x", "x"),
        ("a\x00b\x08c\x7fd\x85e", "a?b?c?d?e"),
        ("bell\x07 \x1b", "bell? ?"),
        ("left\u202eright\u2066", "left?right?"),
        ("one\u2028two\u2029", "one?two?"),
        ("\udc80", "?"),
        ("one\r\ntwo\rthree", "one\ntwo?three"),
        ("tab\tx", "tab    x"),
        ("bücher 用", "bücher 用"),
    ],
)
def test_nothing_that_a_terminal_obeys_gets_through(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert "\n" not in one_line(text)
    assert printable(text, unicode=False).isascii()


@pytest.mark.parametrize(
    ("environ", "utf8"),
    [
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "de_DE.utf8@euro"}, True),
        ({"LANG": "C"}, False),
        ({}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),  # Python put it there
        ({"LC_CTYPE": "en_US.UTF-8"}, True),
    ],
)
def test_the_locale_says_whether_more_than_ascii_can_be_shown(environ: dict[str, str], utf8: bool) -> None:
    assert says_utf8(environ) is utf8


def test_the_width_is_that_of_the_streams_own_terminal(tmp_path: Path) -> None:
    outer, inner = os.openpty()
    with open(inner, "w") as stream, (tmp_path / "x").open("w") as file:
        assert columns(stream, {}) == 80, "it says 0"
        fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("4H", 24, 40, 0, 0))
        assert columns(stream, {}) == 40
        assert columns(stream, {"COLUMNS": "50"}) == 50
        assert columns(stream, {"COLUMNS": "0"}) == columns(stream, {"COLUMNS": "x"}) == 40
        assert columns(file, {}) == columns(io.StringIO(), {}) == 80
    os.close(outer)
    assert columns(stream, {}) == 80


def test_without_a_terminal_there_is_neither_keyboard_nor_screen(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w+") as file:
        assert Terminal.here({"TERM": "xterm"}, file, file) == Terminal(
            keyboard=False, screen=False, moves=False, unicode=False
        )


@pytest.mark.parametrize(
    ("environ", "encoding", "moves", "unicode"),
    [
        ({"TERM": "xterm", "LANG": "C.UTF-8"}, "utf-8", True, True),
        ({"TERM": "xterm", "LANG": "C.UTF-8"}, "latin-1", True, False),
        ({"TERM": "xterm", "LANG": "C"}, "utf-8", True, False),
        ({"TERM": "dumb"}, "utf-8", False, False),
        ({"TERM": "unknown"}, "utf-8", False, False),
        ({}, "utf-8", False, False),
        ({"TERM": "xterm", "HERMES_SETUP_PLAIN": "1"}, "utf-8", False, False),
    ],
)
def test_what_a_terminal_can_do(environ: dict[str, str], encoding: str, moves: bool, unicode: bool) -> None:
    outer, inner = os.openpty()
    with open(inner, "w", encoding=encoding) as stream:
        assert Terminal.here(environ, stream, stream) == Terminal(
            keyboard=True, screen=True, moves=moves, unicode=unicode
        )
    os.close(outer)
