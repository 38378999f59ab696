"""Plain lines for the user: on stderr, so that stdout stays free for data. rich is not loaded for them."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """The line is on stderr, wrapped at words. A stderr that can't be written is not a reason to fail."""
    try:
        print(_wrapped(text), file=sys.stderr, flush=True)
    except OSError:
        discard(2)


def discard(stream: int) -> None:
    """What is written to stdout (1) or stderr (2) goes nowhere: else Python complains about what is left when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def is_terminal() -> bool:
    """True when someone can read the questions and answer them."""
    streams = (sys.stdin, sys.stderr)  # None where the caller has closed it
    return all(stream is not None and stream.isatty() for stream in streams)


def _wrapped(text: str) -> str:
    """Broken at words where a terminal would break it anywhere, even in the middle of a command."""
    if not (sys.stderr and sys.stderr.isatty()):
        return text
    import textwrap

    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        width = 80
    return "\n".join(
        textwrap.fill(line, max(20, width - 1), break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )
