"""`hermes-setup undo`: puts back what the last run changed. Undone twice: done again."""

from __future__ import annotations

from hermes_setup.arguments import add_lockout, add_run_flags
from hermes_setup.errors import WrongInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

HELP = "put back what the last run changed"
USAGE = """\
  hermes-setup undo --last          [--yes] [--dry-run] [--allow-lockout]    put back what the last run changed
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.flag("--last", "the last run: the only one that can be undone")
    add_run_flags(parser)
    add_lockout(parser)


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """The last run is undone, once the user agreed."""
    if not arguments.last:
        raise WrongInput("Only the last run can be undone.", hint="Say so: sudo hermes-setup undo --last")
    session.choose(dry=arguments.dry_run, yes=arguments.yes, lockout=arguments.allow_lockout)
    session.need_root()
    return undo_last(session)


def undo_last(session: Session, *, asked: bool = False) -> Outcome:
    """As `run`; `asked`: from the menu, to which one can go back. Raises WrongInput where there is no run to undo."""
    from hermes_setup.engine.stage import Step
    from hermes_setup.job import Job, carry_out
    from hermes_setup.stages import for_undo
    from hermes_setup.stages.undo import Undo
    from hermes_setup.state import stamps

    stored = session.state.answers()
    undone = session.host.look(stamps.UNDONE)
    for past in session.state.past_runs(getattr(undone, "content", b"").decode("utf-8", "replace")):
        last = past.journal
        stage = Undo(last.name, last.all_changes())
        if not past.half_undone and not stage.in_effect(session.host):  # it failed, and put everything back itself
            continue
        before = last.answers_before()
        if not (answers := before or stored):
            continue
        names_stay = bool(stored and before and before.names == stored.names)
        seen = for_undo(before=bool(before), names_stay=names_stay, lockout=session.options.lockout)
        steps = (Step("undo", "Undo the last run", stage), *seen)
        return carry_out(Job(answers, steps, asked=asked, whole_setup=False, undoes=last), session)
    raise WrongInput("There is no run to undo.", hint="See what is here: sudo hermes-setup doctor")
