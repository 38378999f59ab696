"""A check blocks, and someone is at the keyboard: what was found, and what now."""

from __future__ import annotations

import os

from hermes_setup.engine.loop import Blocked
from hermes_setup.job import Job, carry_out, passwords_not_lost, show_passwords
from hermes_setup.questions.proceed import what_now
from hermes_setup.session import Outcome, Session
from hermes_setup.wizard import waiting


def until_not_blocked(job: Job, session: Session) -> Outcome:
    """As `carry_out`; after a check that blocks, once more, until it does not or something else is wanted."""
    made_up = {} if session.options.dry else job.made_up
    while True:
        try:
            with passwords_not_lost(made_up, session, kept=job.whole):
                return carry_out(job, session)
        except Blocked as blocked:
            if session.under_way:  # changes were made: what is done is told by the one handler of all failures
                raise
            outcome = _what_now(blocked, job, session)
        if outcome is not None:
            if outcome is Outcome.BLOCKED and job.whole:
                show_passwords(made_up, session)
            return outcome


def _what_now(blocked: Blocked, job: Job, session: Session) -> Outcome | None:
    """None to look again."""
    screen = session.fresh_screen()
    screen.findings(blocked.findings)
    by_itself = waiting.curable(blocked.findings)
    if by_itself:
        screen.say(waiting.meanwhile(job.answers, session.host, os.environ.get("SUDO_USER", "root")))
    unfit = job.whole and any(finding.code.startswith("dns.") for finding in blocked.findings)
    kept = session.state.draft() is not None
    match what_now(session.asker, waiting=by_itself, unfit=unfit, kept=kept):
        case "wait":
            waiting.wait(job.answers, session.host, screen)
        case "again":
            pass
        case "domain":
            return Outcome.OTHER_DOMAIN
        case "back":
            return Outcome.BACK
        case _:
            return Outcome.BLOCKED
    return None
