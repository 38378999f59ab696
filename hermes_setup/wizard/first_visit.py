"""A set-up by questions: they are asked, the answers shown once more, the plan agreed to. One can go back from there."""

from __future__ import annotations

import os

from hermes_setup.errors import WrongInput
from hermes_setup.questions.conversation import review, walk
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.session import Outcome, Session
from hermes_setup.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hermes_setup.answers.answers import Answers
    from hermes_setup.job import Job


def first(session: Session) -> Outcome:
    """A first set-up is done. What was answered before an interruption is not asked again."""
    return ask(Draft() if session.options.dry else _draft(session), None, session)


def ask(draft: Draft, previous: Answers | None, session: Session) -> Outcome:
    """The open questions are asked, and the answers made true. `previous` are the answers that hold."""
    from hermes_setup.wizard.blocked import until_not_blocked

    session.answers_kept = not session.options.dry and previous is None

    def keep(now: Draft) -> None:
        if session.answers_kept:
            session.state.save_draft(now.to_table())

    known, back, shown_again = _known_for_first_question(previous, session), False, dict[str, str]()
    while True:
        draft, shown_again = walk(
            draft,
            known,
            session.asker,
            keep,
            back=back,
            shown_again=shown_again,
            look=lambda now: _known(now, previous, session),
        )
        answers = draft.answers(previous)
        _review(answers, session)
        match until_not_blocked(setup_job(answers, session, shown_again), session):
            case Outcome.OTHER_DOMAIN:
                draft, back = replace(draft, domain=None, redirect=None), False
            case Outcome.BACK:
                back = True  # and everything is checked again: what blocked may be gone, and something else may block
            case outcome:
                return outcome


def setup_job(answers: Answers, session: Session, made_up: dict[str, str] | None = None) -> Job:
    """The job of a whole set-up. Passwords that were made up are shown once more at the end."""
    from hermes_setup.job import Job
    from hermes_setup.stages import all_steps

    steps = all_steps(session.renderer, lockout=session.options.lockout)
    return Job(answers, steps, made_up or {}, asked=True)


def _draft(session: Session) -> Draft:
    """The answers from last time; none where they can't be read."""
    try:
        return Draft.from_table(session.state.draft() or {})
    except WrongInput:
        return Draft()


def _review(answers: Answers, session: Session) -> None:
    """The answers are on the screen once more, before anything is done with them."""
    from hermes_setup.stages.hermes import dashboards

    found = dashboards.find(session.host).chosen if answers.backend is None else None
    session.screen.say()
    session.screen.say("Your answers:", "bold")
    session.screen.pairs(review(answers, str(found or "")))
    session.screen.say()


def _known_for_first_question(previous: Answers | None, session: Session) -> Known:
    """What the first question needs to know. Little is imported for it: the user is waiting."""
    from socket import gethostname

    name = gethostname()
    return Known(
        fqdn=name if "." in name and not name.endswith((".localdomain", ".internal", ".local")) else "",
        addresses=session.host.addresses(),
        login=os.environ.get("SUDO_USER", ""),
        previous=previous,
    )


def _known(known: Known, previous: Answers | None, session: Session) -> Known:
    """The same, with what the later questions need."""
    from hermes_setup.stages import webhooks
    from hermes_setup.stages.hermes import dashboards, service
    from hermes_setup.stages.users import htpasswd

    whose = dashboards.whose(session.host)
    backends = tuple(whose)
    installed = None if backends else service.candidate(session.host)
    return replace(
        known,
        not_running=installed.user if installed else "",
        listening=webhooks.listening(session.host) if not previous else (),
        backends=backends,
        whose=whose,
        users=tuple(htpasswd.read(session.host)),
    )
