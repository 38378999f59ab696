"""`hermes-setup answers`: prints the file that would repeat this set-up."""

from __future__ import annotations

import sys

from hermes_setup.errors import WrongInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "print the file that would repeat this set-up"
USAGE = """\
  hermes-setup answers              print the file that would repeat this set-up (hashes, never passwords)
"""


def arguments(parser: Parser) -> None:
    """None."""


def run(arguments: argparse.Namespace, session: Session) -> Outcome:  # noqa: ARG001 - a command's shape
    """The file is on stdout, with hashes and never a password."""
    session.need_root()
    stored = session.state.answers()
    if stored is None:
        raise WrongInput("Nothing is set up here yet.", hint="Start with: sudo hermes-setup")
    from hermes_setup.answers.file import to_toml
    from hermes_setup.answers.user import User
    from hermes_setup.passwords import is_hash
    from hermes_setup.phrases import listed
    from hermes_setup.session import Outcome
    from hermes_setup.stages.users import htpasswd
    from hermes_setup.ui.talk import say
    from hermes_setup.values import replace

    lines = htpasswd.read(session.host)
    names = list(dict.fromkeys([*(user.name for user in stored.users), *lines]))
    unknown = [name for name in names if name in lines and not is_hash(lines[name])]
    if unknown:
        say(
            f"warning: the line of {listed(unknown)} was written by hand and has no $6$ or bcrypt hash, so it is left out."
        )
    users = tuple(User(name) for name in names if name not in unknown)
    sys.stdout.write(to_toml(replace(stored, users=users), lines))
    return Outcome.SHOWN
