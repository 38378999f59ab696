"""One run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator

from hermes_setup.errors import Busy
from hermes_setup.state import notes


@contextlib.contextmanager
def locked(path: str, doing: str) -> Iterator[None]:
    """This run is the only one inside the block. Raises Busy, with who holds the lock and since when."""
    notes.make(os.path.dirname(path))
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise notes.unusable(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(os.pread(handle, 4096, 0).decode(errors="replace").strip()) from None
        holder = f"process {os.getpid()} ({doing}), since {time.strftime('%H:%M:%S')}"
        with contextlib.suppress(OSError):  # on a full disk nobody hears who; the lock itself needs no room
            os.ftruncate(handle, 0)
            os.pwrite(handle, holder.encode(), 0)
        yield
    finally:
        os.close(handle)


def _busy(holder: str) -> Busy:
    process = re.match(r"process (\d+)", holder)
    stop = f"sudo kill {process.group(1)}" if process else "tmux attach, if it runs in tmux"
    return Busy(
        f"Another hermes-setup is running: {holder or 'another run'}.",
        hint=f"Wait until it has finished. If its terminal is lost: {stop} ; that leaves everything in a sound state, and "
        "the same command continues from there.",
    )
