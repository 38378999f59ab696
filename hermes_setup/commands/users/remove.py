"""`hermes-setup users remove`: that user cannot sign in any more, and is signed out."""

from __future__ import annotations

from hermes_setup.arguments import add_run_flags
from hermes_setup.commands import users

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "take a user away"
USAGE = """\
  hermes-setup users remove NAME    [--end-connections | --keep-connections] [--yes] [--dry-run]
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.word("name", "the user")
    add_run_flags(parser)
    users.add_connection_flags(parser)


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """The user cannot sign in any more."""
    name = users.need_name("remove", arguments.name)
    users.choose_options(arguments, session)
    session.need_root()
    stored = users.need_set_up(session)
    users.need_user(name, stored, session, unfinished=True)

    end = users.ends_connections("remove", name, arguments, session)
    outcome = users.change(stored.without_user(name), session, end_connections=end)
    users.say_open_connections(outcome, session)
    return outcome
