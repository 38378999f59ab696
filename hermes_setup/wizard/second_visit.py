"""A server that is set up: its status, and the menu, until the user leaves it."""

from __future__ import annotations

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.findings import Severity
from hermes_setup.engine.loop import Blocked, preflight
from hermes_setup.job import Job, changes_in, forecast
from hermes_setup.questions import menu
from hermes_setup.session import Outcome, Session
from hermes_setup.stages import all_steps, for_addresses, for_users
from hermes_setup.stages.users import cookies, htpasswd
from hermes_setup.ui.talk import say
from hermes_setup.wizard import status
from hermes_setup.wizard.blocked import until_not_blocked
from hermes_setup.wizard.first_visit import setup_job


def run(stored: Answers, session: Session) -> Outcome:
    """What the user chose is done, or the menu was left."""
    pending = _show_status(stored, session)
    if pending:
        say("Not everything is as it should be. Enter shows what would fix it.")
    visit = _visit(stored, pending, session)
    while True:
        outcome = _carry_out(menu.menu(visit, session.asker), session)
        if outcome not in (Outcome.BACK, Outcome.OTHER_DOMAIN):
            return outcome


def _show_status(stored: Answers, session: Session) -> int | None:
    """The status, and what the checks found, is on the screen. How many changes a run would make; None if a check blocks."""
    steps = all_steps(session.renderer, lockout=session.options.lockout)
    known = preflight(steps, stored, session.host)
    session.screen.pairs(status.lines(stored, known.facts.values(), htpasswd.read(session.host)))
    session.screen.say()
    if found := [finding for _, finding in known.findings if finding.severity > Severity.NOTE]:
        session.screen.findings(found)
        session.screen.say()
    try:
        return len(changes_in(forecast(steps, stored, session, known)[1]))
    except Blocked:
        return None


def _visit(stored: Answers, pending: int | None, session: Session) -> menu.Visit:
    """What the menu needs to know. What takes time to find is found when it is asked for."""
    from hermes_setup.nginx import processes
    from hermes_setup.stages import webhooks
    from hermes_setup.stages.addresses import ssh
    from hermes_setup.stages.hermes import dashboards, service

    host = session.host

    def not_running() -> str:
        found = service.candidate(host)
        return found.user if found else ""

    return menu.Visit(
        stored,
        tuple(htpasswd.read(host)),
        ssh.find(host),
        session.options.lockout,
        pending,
        listening=lambda: webhooks.listening(host),
        backends=lambda: dashboards.whose(host),
        upstream=dashboards.set_upstream(host),
        not_running=not_running,
        cookies=lambda name: cookies.digests(host, name),
        connected=lambda: processes.has_connections(host),
    )


def _carry_out(intent: menu.Intent, session: Session) -> Outcome:
    """What was chosen is done. BACK: the menu is shown again."""
    match intent.do:
        case "quit":
            return Outcome.SHOWN
        case "list":
            from hermes_setup.commands.users import list as users_list

            users_list.show(session)
            return Outcome.BACK
        case "check":
            from hermes_setup.commands import doctor

            doctor.examine(session)
            return Outcome.BACK
        case "undo":
            from hermes_setup.commands.undo import undo_last

            return undo_last(session, asked=True)
        case "addresses":
            return _change_addresses(intent.answers, session)
        case "show" | "domain" | "certificate" | "hermes" | "webhooks":
            return until_not_blocked(setup_job(intent.answers, session), session)
    from hermes_setup.commands.users import say_open_connections

    steps = for_users(session.renderer, end_connections=intent.end_connections)
    job = Job(intent.answers, steps, dict(intent.made_up), asked=True, whole_setup=False)
    outcome = until_not_blocked(job, session)
    if intent.do != "add":
        say_open_connections(outcome, session)
    return outcome


def _change_addresses(answers: Answers, session: Session) -> Outcome:
    """The dashboard opens to these addresses, once the user agreed; users stay as they are."""
    from hermes_setup.commands.users import say_open_connections
    from hermes_setup.stages.addresses.lists import in_a_line

    steps = for_addresses(session.renderer, lockout=session.options.lockout)
    outcome = until_not_blocked(Job(answers, steps, asked=True, whole_setup=False), session)
    if outcome in (Outcome.DONE, Outcome.NOTHING_TO_DO):
        say(f"The dashboard opens to: {in_a_line(answers.allow) or 'every address'}.")
    say_open_connections(outcome, session)
    return outcome
