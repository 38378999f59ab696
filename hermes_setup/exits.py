"""How the process ends: signals, the last output, the exit status.

Exit statuses as in docs/reference/commands.md; 128 and the signal's number for a signal, as shells have it.
"""

from __future__ import annotations

import os
import sys

from hermes_setup.ui.talk import discard, is_terminal, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

    from hermes_setup.session import Session

INTERRUPTED = 130
BUG = 70
HUNG_UP = 129


class Stopped(BaseException):
    """A signal asks us to stop. Not an Exception: nothing on the way may take it for an error and continue."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def catch_signals() -> None:
    """SIGTERM and SIGHUP raise Stopped wherever the program is, unless they were ignored (nohup)."""
    import signal

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost terminal sends it twice
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def ignore_signals() -> None:
    """Signals that ask us to stop have no effect any more: we are stopping already."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def end_process(status: int) -> NoReturn:
    """The process ends with that status, once all output is written; or with 1, where that failed.

    At once: to free memory that the kernel frees anyway takes a sixth of a short run.
    """
    if "signal" in sys.modules:  # else only --version was printed
        ignore_signals()
    _show_cursor()
    os._exit(_flush(status))


def _show_cursor() -> None:
    """The cursor is visible, even if a moving line was interrupted."""
    import contextlib

    if "rich.live" in sys.modules and is_terminal() and os.environ.get("TERM", "dumb") != "dumb":
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("\x1b[?25h")
            sys.stderr.flush()


def _flush(status: int) -> int:
    """The exit status, once all output is written: what was not written is not "done"."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        discard(1)
        if not isinstance(error, BrokenPipeError):
            say(f"The output could not be written: {os.strerror(error.errno or 0)}.")
            status = status or 1
    try:
        if sys.stderr:
            sys.stderr.flush()
    except OSError:
        discard(2)
    return status


def signal_behind(error: BaseException) -> BaseException | None:
    """The signal that caused this error, None where none did: a terminal that is gone refuses our last lines, too."""
    import errno

    if isinstance(error, OSError) and error.errno == errno.EIO and error.filename is None:
        return Stopped(1)  # the terminal is gone, and its signal is still on its way (tty_ioctl(4))
    at = error.__context__
    while at is not None and not isinstance(at, (KeyboardInterrupt, Stopped)):
        at = at.__context__
    return at


def stopped(stop: BaseException, session: Session) -> int:
    """The exit status for ^C or a signal; what was done so far, and how to continue, is on the screen."""
    if not isinstance(stop, Stopped):
        return _interrupted(INTERRUPTED, "Stopped by Ctrl-C", session)
    reason = "The terminal was closed" if stop.number == 1 else "Stopped by a signal"
    return _interrupted(128 + stop.number, reason, session)


def reader_gone(session: Session) -> int:
    """The exit status where no one reads our output any more, as with `| head`: 0, unless changes were under way."""
    discard(1)
    changing = session.under_way or (session.log.is_open and not session.finished)
    return _interrupted(HUNG_UP, "The output is no longer read", session) if changing else 0


def _interrupted(status: int, reason: str, session: Session) -> int:
    import contextlib
    import shlex

    ignore_signals()
    session.log.write(f"{reason}: {shlex.join(session.argv)}")
    again = shlex.join(["sudo", "hermes-setup", *session.argv])
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        if work := session.under_way:
            condition = "Everything on this server is in a sound state."
            if work.now == "Packages":
                condition = "apt may have left packages half installed; the same command finishes that."
            say(f"\n{reason} during: {work.now}. Done so far: {', '.join(work.done) or 'nothing yet'}. {condition}")
            say(f"Continue: {again}")
        else:
            kept = "; your answers so far are kept" if session.answers_kept else ""
            say(f"\n{reason}. Nothing was changed{kept}. Continue: {again}")
    return status


def bug(session: Session) -> int:
    """The exit status for a bug of ours; what to report is on the screen."""
    import platform
    import shlex
    import traceback

    from hermes_setup import __version__

    kind = sys.exc_info()[0]
    session.log.write(f"bug in: hermes-setup {shlex.join(session.argv)}\n{traceback.format_exc()}")
    say(f"This is a bug in hermes-setup {__version__}, not a mistake of yours ({kind.__name__ if kind else '?'}).")
    if session.log.is_open and os.access(session.log.path, os.R_OK):
        say(
            f"The details are at the end of {session.log.path}; no password is in it. Please report its last lines, with:"
        )
    else:
        traceback.print_exc()
        say("Please report the lines above, with:")
    say(f"  hermes-setup {__version__}, Python {platform.python_version()}, {platform.platform()}")
    say("It is safe to run it again: it continues where it stopped.")
    return BUG
