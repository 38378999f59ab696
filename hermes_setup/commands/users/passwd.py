"""`hermes-setup users passwd`: a new password; whoever is signed in by the old one is signed out."""

from __future__ import annotations

from hermes_setup.arguments import add_run_flags
from hermes_setup.commands import users

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "give a user a new password"
USAGE = """\
  hermes-setup users passwd NAME    [--password-stdin | --generate] [--end-connections | --keep-connections]
                                    [--yes] [--dry-run]
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.word("name", "the user")
    add_run_flags(parser)
    users.add_connection_flags(parser)
    users.add_password_flags(parser)


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """The user signs in with the new password, and with no other."""
    name = users.need_name("passwd", arguments.name)
    users.choose_options(arguments, session)
    session.need_root()
    stored = users.need_set_up(session)
    users.need_user(name, stored, session)

    hashed, made_up = users.new_password(name, arguments, session)
    end = users.ends_connections("passwd", name, arguments, session)
    outcome = users.change(stored.with_hash(name, hashed), session, made_up, end_connections=end)
    users.say_open_connections(outcome, session)
    return outcome
