"""A check blocks, and someone is at the keyboard: what was found, and "What now?"."""

from __future__ import annotations

import os

from hermes_setup.engine.loop import Blocked
from hermes_setup.job import Job, carry_out, passwords_not_lost, show_passwords
from hermes_setup.questions.proceed import what_now
from hermes_setup.session import Outcome, Session
from hermes_setup.stages.dns.waiting import only_dns_blocks
from hermes_setup.wizard import waiting


def until_not_blocked(job: Job, session: Session) -> Outcome:
    """As `carry_out`; after a check that blocks, again, until it does not, or the user wants something else."""
    made_up = {} if session.options.dry else job.made_up
    while True:
        try:
            with passwords_not_lost(made_up, session, kept=job.whole_setup):
                return carry_out(job, session)
        except Blocked as blocked:
            if session.under_way:  # changes were made: `main` says what is done, as after any failure
                raise
            outcome = _what_now(blocked, job, session)
        if outcome is not None:
            if outcome is Outcome.BLOCKED and job.whole_setup:
                show_passwords(made_up, session)
            return outcome


def _what_now(blocked: Blocked, job: Job, session: Session) -> Outcome | None:
    """What the user wants; None: to check again."""
    screen = session.fresh_screen()
    screen.findings(blocked.findings)
    can_wait = only_dns_blocks(blocked.findings)
    if can_wait:
        screen.say(waiting.ssh_tunnel(job.answers, session.host, os.environ.get("SUDO_USER", "root")))
    other_domain = job.whole_setup and any(finding.code.startswith("dns.") for finding in blocked.findings)
    kept = session.state.draft() is not None
    match what_now(session.asker, waiting=can_wait, other_domain=other_domain, kept=kept):
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
