"""`hermes-setup` alone: the questions of a first set-up; on a server that is set up, its status and a menu."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "ask, show every change, then make it; later: the status, and a menu"
USAGE = """\
  hermes-setup [--allow-lockout]    ask, show every change, then make it; later: the status, and a menu
  hermes-setup --dry-run [--allow-lockout]    the same questions, then every change as a diff; writes nothing at all
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    from hermes_setup.arguments import add_lockout

    parser.flag("--dry-run", "show every change, make none")
    add_lockout(parser)


def run(argv: Sequence[str], session: Session) -> Outcome:
    """What the user wants, asked at the keyboard, is done."""
    from hermes_setup.arguments import Parser

    parser = Parser("hermes-setup", HELP)
    arguments(parser)
    found = parser.read(list(argv))
    session.choose(dry=found.dry_run, lockout=found.allow_lockout)
    from hermes_setup import __version__
    from hermes_setup.ui.talk import say

    if session.interactive and os.geteuid() == 0:
        say(f"hermes-setup {__version__}")  # at once: what a question needs takes a moment to load
    from hermes_setup.errors import WrongInput
    from hermes_setup.wizard import first_visit

    if not session.interactive:
        raise WrongInput(
            "Can't ask questions: this is not a terminal.",
            hint="Write the answers into a file: sudo hermes-setup apply --answers FILE.toml --yes (an example: "
            "docs/examples/server.toml)",
        )
    session.need_root()
    if not session.options.dry:
        with session.state.lock("hermes-setup"):  # while another run is active, the questions would be in vain
            pass
    else:
        say(
            "A dry run: the same questions, and nothing is changed. Any password it shows is only an example, and works nowhere."
        )
    stored = session.state.answers()
    if stored is None:
        return first_visit.first(session)
    if session.state.first_setup_unfinished():
        from hermes_setup.wizard.resume import resume

        return resume(stored, session)
    from hermes_setup.wizard import second_visit

    return second_visit.run(stored, session)
