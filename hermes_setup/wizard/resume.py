"""A first set-up that was stopped after "Go ahead?" is gone on with."""

from __future__ import annotations

from hermes_setup.questions.draft import Draft
from hermes_setup.session import Outcome, Session
from hermes_setup.wizard.first_visit import ask, setup_job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hermes_setup.answers.answers import Answers


def resume(stored: Answers, session: Session) -> Outcome:
    """A first set-up that was stopped after the user had agreed is finished. From its plan one can go back to the questions."""
    from hermes_setup.ui.talk import say
    from hermes_setup.wizard.blocked import until_not_blocked

    say(f"The set-up of {stored.domain.label} was started and not finished. It continues from where it stopped.")
    say("To change an answer: < and Enter at its question.")
    outcome = until_not_blocked(setup_job(stored, session), session)
    if outcome in (Outcome.BACK, Outcome.OTHER_DOMAIN):
        return ask(Draft.again(stored), stored, session)
    return outcome
