"""`hermes-setup rehearse`: the whole job for real, on a throwaway copy of this server.

The same steps, the same engine and the same screen as in a run; only the System is another one.
"""

from __future__ import annotations

import contextlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from hermes_setup.answers.answers import Answers
    from hermes_setup.arguments import Parser
    from hermes_setup.engine.stage import Step
    from hermes_setup.session import Outcome, Session
    from hermes_setup.system.rehearsal.rehearsal import Rehearsal, Scenario
    from hermes_setup.ui.screen import Screen

HELP = "the whole job for real, on a throwaway copy of this server"
USAGE = """\
  hermes-setup rehearse [--answers FILE.toml]    the whole job for real, on a throwaway copy of this server
"""
MADE_UP = "203.0.113.10"  # RFC 5737
GONE = "The copy is gone, and nothing on this server was changed."


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.flag("--answers", "the file of answers", metavar="FILE")


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """The whole job was done on a copy: with the file's answers, else those of the set-up here, else made-up ones."""
    from hermes_setup.stages import all_steps
    from hermes_setup.stages.hermes import dashboards
    from hermes_setup.wanted import wanted

    if arguments.answers is not None:
        answers = wanted(arguments.answers, "rehearse", session)[0]
    else:
        session.need_root()
        answers = session.state.answers() or _example()
    screen = session.screen
    screen.say(
        f"A rehearsal for {answers.domain.shown}: every step for real, on a throwaway copy of this server. The server itself "
        "is not changed, and Let's Encrypt is not contacted."
    )
    if arguments.answers is None and session.state.answers() is None:
        screen.say(
            "The domain and the user are made up. With your own: sudo hermes-setup rehearse --answers FILE.toml", "dim"
        )
    found = [(at.address, at.port) for at in dashboards.everywhere(session.host)]
    return rehearse(answers, all_steps(session.renderer), found, screen)


def _example() -> Answers:
    """Answers for a server that has none yet."""
    from hermes_setup import passwords
    from hermes_setup.answers.answers import Answers
    from hermes_setup.answers.domain import Domain
    from hermes_setup.answers.issuer import Issuer
    from hermes_setup.answers.user import User

    user = User("you", passwords.hash_password(passwords.make_password()))
    return Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), (user,))


def rehearse(answers: Answers, steps: Sequence[Step], dashboards: Sequence[tuple[str, int]], screen: Screen) -> Outcome:
    """All steps were done in a copy that is gone again, each shown on the screen.

    `dashboards` are the addresses and ports of Hermes on this server; where there is none a stand-in plays it. Raises
    NotAllowed where no copy can be made.
    """
    import time

    from hermes_setup.engine.failed_step import NoJournal
    from hermes_setup.engine.loop import Blocked, StageFailed
    from hermes_setup.engine.loop import run as engine_run
    from hermes_setup.session import Outcome
    from hermes_setup.system.rehearsal.rehearsal import Rehearsal
    from hermes_setup.ui.end import show_error

    started = time.monotonic()
    copy = Rehearsal()
    try:
        with copy:
            for step in copy.prepare(_scenario(answers, dashboards)):
                screen.say(f"{step} ...", "dim")
            answers = _with_what_there_is(answers, copy, screen)
            with screen.progress() as progress, _unless_copy_died(copy):
                for event in engine_run(steps, answers, copy, NoJournal()):
                    progress.show(event)
    except Blocked as blocked:
        screen.findings(blocked.findings)
        screen.say(f"A real run would stop here. {GONE}", "bold")
        return Outcome.BLOCKED
    except StageFailed as failed:
        if copy.interrupted:  # nothing failed by itself
            raise
        show_error(screen, failed.cause)
        if "No space left on device" in getattr(failed.cause, "output", ""):
            screen.say(f"The copy lives in memory, and may use {copy.memory >> 20} MB of it: too little for this.")
        screen.say(f"A real run would fail here, too, and put the files of this step back. {GONE}", "bold")
        return Outcome.FAILED
    screen.say()
    took = f"in {time.monotonic() - started:.0f} s"
    if not progress.changes:
        screen.say(f"Nothing would be changed: all {len(steps)} steps are done already ({took}). {GONE}", "bold")
        return Outcome.NOTHING_TO_DO
    screen.say(f"The rehearsal went well: all {len(steps)} steps, {took}. {GONE}", "bold")
    if copy.no_authority:
        screen.say("Not rehearsed: getting a certificate from a certificate authority, and renewing it.")
    screen.say(
        "A copy can't tell whether the internet reaches this server by its real name. sudo hermes-setup --dry-run checks "
        "that, too, and shows every change."
    )
    screen.say("For real: sudo hermes-setup")
    return Outcome.DONE


def _scenario(answers: Answers, dashboards: Sequence[tuple[str, int]]) -> Scenario:
    """What the copy is to be set up for."""
    from hermes_setup.answers.backend import DEFAULT_BACKEND
    from hermes_setup.stages.hermes.dashboards import set_upstream
    from hermes_setup.system.local import Local
    from hermes_setup.system.rehearsal.rehearsal import Scenario

    stand_in = answers.backend or set_upstream(Local()) or DEFAULT_BACKEND
    here = Local().addresses()
    public = answers.public_addresses or reachable(here)
    return Scenario(
        answers.domain.ascii,
        answers.issuer.directory,
        tuple(dashboards),
        (stand_in.address, stand_in.port),
        tuple(dict.fromkeys((*here, *public))),
        public,
    )


def _with_what_there_is(answers: Answers, copy: Rehearsal, screen: Screen) -> Answers:
    """The answers for this copy. What the copy lacks is said."""
    from hermes_setup.answers.issuer import Issuer
    from hermes_setup.values import replace

    if copy.plays_hermes:
        screen.say("No Hermes answers here, so the copy has a stand-in for it.", "dim")
    if copy.no_firewall:
        screen.hang(
            "warning: ",
            "This server's firewall rules could not be copied, so the step Firewall says nothing about this server; sudo "
            f"hermes-setup --dry-run does. ({screen.clean(copy.no_firewall)})",
            "bold yellow",
        )
    if copy.no_authority:
        screen.say(
            f"There is no certificate authority for tests ({copy.no_authority}), so the copy signs its certificate itself."
        )
        return replace(answers, issuer=Issuer.parse("self-signed"))
    return answers


@contextlib.contextmanager
def _unless_copy_died(copy: Rehearsal) -> Iterator[None]:
    """Raises HermesSetupError where something fails in here because the copy was killed; other errors pass."""
    from hermes_setup.errors import HermesSetupError

    try:
        yield
    except HermesSetupError:
        if not copy.interrupted and not copy.is_intact():
            raise HermesSetupError(
                "The copy, or a part of it, was killed in the middle. That says nothing about this server, which is as it was.",
                hint="Most often memory ran out: look at free -m and dmesg | tail, then run it again.",
            ) from None
        raise


def reachable(addresses: Sequence[str]) -> tuple[str, ...]:
    """The first address of each family that the internet could reach. Behind NAT, where there is none: a made-up one."""
    from hermes_setup.answers.allowed_addresses import is_public

    wide = [each for each in addresses if is_public(each)]
    four, six = [each for each in wide if ":" not in each], [each for each in wide if ":" in each]
    return (*(four or ([] if six else [MADE_UP]))[:1], *six[:1])
