"""`hermes-setup apply`: makes true what a file of answers says."""

from __future__ import annotations

from hermes_setup.arguments import add_lockout, add_run_flags
from hermes_setup.errors import WrongInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "set up what a file of answers says"
USAGE = """\
  hermes-setup apply --answers FILE.toml [--dry-run | --check] [--yes] [--allow-lockout]
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.flag("--answers", "the file of answers", metavar="FILE")
    add_run_flags(parser)
    parser.flag("--check", "show what would be changed; exit 4 if there is anything")
    add_lockout(parser)


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """The server is as the file says."""
    if arguments.answers is None:
        raise WrongInput("apply needs the file of answers.", hint="sudo hermes-setup apply --answers FILE.toml")
    if arguments.dry_run and arguments.check:
        raise WrongInput("--dry-run and --check do the same look in two ways.", hint="Keep one of them.")
    session.choose(dry=arguments.dry_run, check=arguments.check, yes=arguments.yes, lockout=arguments.allow_lockout)
    from hermes_setup.job import Job, carry_out
    from hermes_setup.stages import all_steps
    from hermes_setup.wanted import wanted

    answers, made_up = wanted(arguments.answers, "apply", session)
    looks_only = session.options.dry or session.options.check
    steps = all_steps(session.renderer, lockout=session.options.lockout, quick_dns=not looks_only)
    return carry_out(Job(answers, steps, made_up), session)
