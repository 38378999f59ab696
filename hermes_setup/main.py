"""The entry: finds the command that was typed, runs it, and turns how it ended into an exit status. Nothing else does."""

from __future__ import annotations

import os
import sys

from hermes_setup import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from hermes_setup.errors import HermesSetupError
    from hermes_setup.session import Outcome, Session


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run what the words say, and end the process."""
    import _signal

    status = 130
    try:
        if _signal.getsignal(_signal.SIGINT) is _signal.SIG_DFL:  # see __main__
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        status = run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # before anything was started, or once more in the last words
        pass
    try:  # this is the end already
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    except KeyboardInterrupt:
        status = 130
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    from hermes_setup import exits

    exits.end_process(status)


def run(argv: list[str]) -> int:
    """Do what the words say; the exit status. Every way to fail ends here."""
    if argv in (["--version"], ["-V"]):
        print(f"hermes-setup {__version__}")
        return 0
    if argv == ["help"] or "--help" in argv or "-h" in argv:
        from hermes_setup import commands, wizard

        print(commands.overview(wizard.USAGE), end="")
        return 0
    import gc

    # nothing that is imported is ever garbage, and looking for some in it takes a fifth of the start
    gc.set_threshold(100_000)
    from hermes_setup import exits
    from hermes_setup.errors import HermesSetupError
    from hermes_setup.session import Session

    session = Session(argv)
    exits.catch_signals()
    _open_streams()
    try:
        _adopt_what_sudo_dropped(session)
        return _status(_outcome(argv, session))
    except HermesSetupError as error:
        if behind := exits.signal_behind(error):
            return exits.stopped(behind, session)
        return _failed(error, session)
    except (KeyboardInterrupt, exits.Stopped) as stop:
        return exits.stopped(stop, session)
    except (BrokenPipeError, SystemExit):  # SystemExit is rich's word for it
        return exits.reader_gone(session)
    except Exception as error:  # noqa: BLE001 - the one place where a bug ends
        if behind := exits.signal_behind(error):
            return exits.stopped(behind, session)
        return exits.bug(session)
    finally:
        session.close()


def _outcome(argv: list[str], session: Session) -> Outcome:
    from hermes_setup import commands

    if not commands.words(argv):
        from hermes_setup import wizard

        return wizard.run(argv, session)
    return commands.run(argv, session)


def _status(outcome: Outcome) -> int:
    from hermes_setup.session import Outcome

    return {Outcome.FOUND: 4, Outcome.BLOCKED: 3, Outcome.FAILED: 1}.get(outcome, 0)


def _failed(error: HermesSetupError, session: Session) -> int:
    """The exit status of the error, which is on the screen."""
    import contextlib

    from hermes_setup.errors import WrongInput

    session.log.write(f"error: {error.message}")
    with contextlib.suppress(OSError, SystemExit):  # the terminal may be gone
        from hermes_setup.ui.end import show_error

        shown_log = session.log.path if session.log.is_open and not isinstance(error, WrongInput) else ""
        screen = session.screen if session.under_way else session.fresh_screen()
        show_error(screen, error, log=shown_log)
    return error.exit_code


def _open_streams() -> None:
    """stdin and stderr are there, if the caller closed them; data on stdout is UTF-8."""
    if sys.stdin is None:  # no one is there, and nothing can be read
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - likewise
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        # whatever the terminal's locale; but names in files that others wrote may not be UTF-8
        reconfigure(encoding="utf-8", errors="surrogateescape")


def _adopt_what_sudo_dropped(session: Session) -> None:
    """HERMES_SETUP_PLAIN and NO_COLOR hold as where sudo was typed."""
    names = ("HERMES_SETUP_PLAIN", "NO_COLOR")
    if "SUDO_USER" in os.environ and not all(name in os.environ for name in names):
        from hermes_setup.ancestors import before_sudo

        os.environ.update(before_sudo(session.host, names))
