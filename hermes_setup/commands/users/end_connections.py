"""`hermes-setup users end-connections`: whoever was signed out is not connected from before, either."""

from __future__ import annotations

from hermes_setup.arguments import add_run_flags
from hermes_setup.commands import users

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "end the connections that were kept when a user was signed out"
USAGE = """\
  hermes-setup users end-connections  [--yes] [--dry-run]    end what was kept open when a user was signed out
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    add_run_flags(parser)


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """No connection is open from before the last reload, and what that reload was for holds."""
    users.choose_options(arguments, session)
    session.need_root()
    return users.change(users.need_set_up(session), session, end_connections=True)
