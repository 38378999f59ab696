"""`hermes-setup users sign-out`: every browser of that user, or of all, asks for the password again."""

from __future__ import annotations

from hermes_setup.arguments import add_run_flags
from hermes_setup.commands import users
from hermes_setup.errors import WrongInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "sign a user out in every browser"
USAGE = """\
  hermes-setup users sign-out NAME  (or --all) [--end-connections | --keep-connections] [--yes] [--dry-run]
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.word("name", "the user")
    add_run_flags(parser)
    users.add_connection_flags(parser)
    parser.flag("--all", "everyone")


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """No cookie of before is good any more."""
    if arguments.all == (arguments.name is not None):
        raise WrongInput("Sign out whom?", hint="hermes-setup users sign-out NAME, or: users sign-out --all")
    name = "" if arguments.all else users.need_name("sign-out", arguments.name)
    users.choose_options(arguments, session)
    session.need_root()
    stored = users.need_set_up(session)
    if name:
        users.need_user(name, stored, session)
    from hermes_setup.stages.users import cookies

    end = users.ends_connections("sign-out", name, arguments, session)
    signed_out = stored.with_cookies_revoked(cookies.digests(session.host, name))
    outcome = users.change(signed_out, session, end_connections=end)
    users.say_open_connections(outcome, session)
    return outcome
