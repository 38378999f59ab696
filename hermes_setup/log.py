"""The log of runs that may change something: /var/log/hermes-setup.log.

What is logged of a file that is written and of a command that runs is decided here, and never holds a secret: a path without
the content, a command's words without what it reads or prints. (No password is ever in a path or in a command's words.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Sequence

from hermes_setup.errors import HermesSetupError

PATH = "/var/log/hermes-setup.log"
LARGEST = 2 * 1024 * 1024


class Log:
    """Keeps nothing until it is opened: looking at a machine leaves no trace on it."""

    def __init__(self, path: str = PATH) -> None:
        self.path = path
        self.is_open = False

    def open(self) -> None:
        """From here on something may change, and the log says what.

        Raises HermesSetupError where something else is at its place: a link, a pipe, a folder, somebody else's file.
        A full disk, or one that can't be written, does not end the run.
        """
        with contextlib.suppress(OSError):
            os.close(self._opened())
        self.is_open = True

    def write(self, line: str) -> None:
        """The line is in the log, if that is open. A full disk does not end the run."""
        if not self.is_open:
            return
        with contextlib.suppress(OSError, HermesSetupError):
            handle = self._opened()
            try:
                os.write(handle, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n".encode("utf-8", "replace"))
                if os.fstat(handle).st_size > LARGEST:
                    os.replace(self.path, f"{self.path}.1")
            finally:
                os.close(handle)

    def _opened(self) -> int:
        """The file, open at its end, for nobody else to read. Never waits (for a pipe's reader), and follows no link.

        /var/log may be written by others, as by the group syslog on Ubuntu: a file of theirs they could read and change,
        and a hard link could lead to any file of root's.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            handle = os.open(self.path, flags, 0o600)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # a link, a pipe or a socket, a folder
                raise _in_the_way(self.path) from None
            raise
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
            os.close(handle)
            raise _in_the_way(self.path)
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.fchmod(handle, 0o600)
        return handle


def _in_the_way(path: str) -> HermesSetupError:
    return HermesSetupError(
        f"{path} is not a log that hermes-setup wrote: it is a link, a pipe, a folder, or somebody else's file.",
        hint=f"Look at it: ls -ld {path} ; move it away: sudo mv {path} /root/ ; then run this again.",
    )


def put_line(path: str, *, removed: bool) -> str:
    """What is logged of a file, link or folder that is put there or removed; "" for copies to try things on, in /run."""
    return "" if path.startswith("/run/") else f"{'remove' if removed else 'write'} {path}"


def run_line(argv: Sequence[str]) -> str:
    """What is logged of a command before it runs."""
    return f"run {' '.join(argv)}"


def ended_line(argv: Sequence[str], code: int) -> str:
    """What is logged of how it ended."""
    return f"{argv[0]} ended with {code}"
