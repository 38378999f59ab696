"""`hermes-setup users list`: who can sign in, how each came, when the line was changed last."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "who can sign in, how each came, when the line was changed last"
USAGE = """\
  hermes-setup users list           [--json]    who can sign in, how each came, when the line was changed last
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.flag("--json", "print it for programs")


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """The list is on stdout."""
    session.need_root()
    return show(session, as_json=arguments.json)


def show(session: Session, *, as_json: bool = False) -> Outcome:
    """As `run`."""
    from hermes_setup import __version__
    from hermes_setup.session import Outcome
    from hermes_setup.stages.users import accounts, htpasswd
    from hermes_setup.ui.json import users_json
    from hermes_setup.ui.screen import Screen

    state, lines = session.state, htpasswd.read(session.host)
    who = accounts.accounts(state.answers(), lines, state.line_dates(), htpasswd.last_written())
    if as_json:
        print(users_json(__version__, [each.table for each in who]))
    else:
        Screen(sys.stdout).users_table([(each.name, each.words) for each in who])
    return Outcome.SHOWN
