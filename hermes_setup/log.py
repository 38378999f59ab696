"""The log of runs that may change something: /var/log/hermes-setup.log.

What is logged of a file that is written and of a command that runs is decided here, and never holds a secret: a path without
the content, a command's words without what it reads or prints. (No password is ever in a path or in a command's words.)
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

PATH = "/var/log/hermes-setup.log"
LARGEST = 2 * 1024 * 1024


class Log:
    """Keeps nothing until it is opened: looking at a machine leaves no trace on it."""

    def __init__(self, path: str = PATH) -> None:
        self.path = path
        self.is_open = False

    def open(self) -> None:
        """From here on something may change, and the log says what."""
        self.is_open = True

    def write(self, line: str) -> None:
        """The line is in the log, if that is open. A full disk does not end the run."""
        if not self.is_open:
            return
        with contextlib.suppress(OSError):
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                if os.fstat(handle).st_mode & 0o077:
                    os.fchmod(handle, 0o600)
                if os.fstat(handle).st_size > LARGEST:
                    os.replace(self.path, f"{self.path}.1")
                os.write(handle, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n".encode("utf-8", "replace"))
            finally:
                os.close(handle)


def put_line(path: str, *, removed: bool) -> str:
    """What is logged of a file, link or folder that is put there or removed; "" for copies to try things on, in /run."""
    return "" if path.startswith("/run/") else f"{'remove' if removed else 'write'} {path}"


def run_line(argv: Sequence[str]) -> str:
    """What is logged of a command before it runs."""
    return f"run {' '.join(argv)}"


def ended_line(argv: Sequence[str], code: int) -> str:
    """What is logged of how it ended."""
    return f"{argv[0]} ended with {code}"
