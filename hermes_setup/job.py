"""One job: look, show every change, ask, make them. The same for the wizard, an answers file, the menu and a dry run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Probe, Run
from hermes_setup.engine.events import Doing, Event, Finished, Started
from hermes_setup.engine.failed_step import NoJournal
from hermes_setup.engine.loop import Blocked, Preflight, preflight
from hermes_setup.engine.loop import run as engine_run
from hermes_setup.engine.stage import Step
from hermes_setup.errors import HermesSetupError, WrongInput
from hermes_setup.host import File
from hermes_setup.phrases import listed
from hermes_setup.session import Outcome, Session, UnderWay
from hermes_setup.stages.hermes.upstream import as_shown
from hermes_setup.stages.users import htpasswd
from hermes_setup.ui.end import show_done, show_password
from hermes_setup.ui.forecast import show_forecast
from hermes_setup.ui.talk import discard
from hermes_setup.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hermes_setup.state.journal import Journal


@dataclass(frozen=True)
class Job:
    """What a run is to make true.

    `asked`: the questions were asked just now, so one can go back to them; passwords that were made up have been shown,
    and those in `made_up` are shown once more at the end. Otherwise all of them are shown before the first change.
    `whole_setup`: all steps, and at the end the address and what to type later. `undoes`: the run that this one undoes.
    """

    answers: Answers
    steps: tuple[Step, ...]
    made_up: Mapping[str, str] = field(default_factory=dict, repr=False)
    asked: bool = False
    whole_setup: bool = True
    undoes: Journal | None = None

    @property
    def removes_setup(self) -> bool:
        """True when nothing is set up here any more once it is done."""
        return self.undoes is not None and self.undoes.answers_before() is None


def carry_out(job: Job, session: Session) -> Outcome:
    """The job is done, was shown (a dry run), or was declined. Raises Blocked and StageFailed, as the engine does."""
    session.renderer.forget()  # what is no longer rendered, like the cookies of a removed user, is not kept
    answers = job.answers.following(session.state.answers())
    if session.options.dry or session.options.check:
        return _dry_run(job, answers, session)
    with session.state.lock(" ".join(["hermes-setup", *session.argv[:2]])):
        session.log.open()
        return _real_run(job, answers, session)


def _dry_run(job: Job, answers: Answers, session: Session) -> Outcome:
    """Every change is on the screen; none was made."""
    screen = session.screen
    changed = show_forecast(screen, forecast(job.steps, answers, session)[1], diffs=True)
    if changed and job.made_up and not job.asked:
        screen.say(
            f"A password for {listed([*job.made_up])} will be made up, and shown once, when this is done for real."
        )
    if changed:
        screen.say("That was a dry run: nothing has been changed.", "bold")
    return Outcome.FOUND if session.options.check and changed else Outcome.SHOWN


def _real_run(job: Job, answers: Answers, session: Session) -> Outcome:
    """Every change was shown, and made once the user agreed. The lock is held, the log is open."""
    screen, state = session.screen, session.state
    if job.whole_setup:
        screen.say("Looking at this server ...", "dim")
    known, events = forecast(job.steps, answers, session)
    if not changes_in(events):
        # The last run was stopped, or failed, before its proof: everything is in place, but may not work.
        if probes_in(events) or job.undoes:
            state.mark_unfinished(state.answers())
            _run_steps(job.steps, answers, session, state.start_run(), known)
        _finish(job, answers, session)
        screen.findings(finding for _, finding in known.findings)
        screen.say("Nothing to do: everything is as it should be.", "bold")
        return Outcome.NOTHING_TO_DO
    show_forecast(screen, events)
    agreed = Outcome.DONE if session.options.yes else _ask_to_go_ahead(job, session)
    if agreed is not Outcome.DONE:
        return agreed
    if job.made_up and not job.asked:
        screen.say("Made-up passwords, shown only this once; save them now:", "bold")
        _print_passwords(job.made_up)
    state.mark_unfinished(state.answers())
    if not job.removes_setup:
        state.save_answers(answers)
    _save_line_dates(events, session, written=job.undoes is None)
    journal = state.start_run(undoes=job.undoes.name if job.undoes else "")
    session.renderer.forget()
    shown = as_shown(answers, [change for _, change in changes_in(events)])
    _run_steps(job.steps, shown, session, journal, known if session.options.yes else None)
    _finish(job, answers, session)
    _show_end(job, answers, session, [finding.code for _, finding in known.findings])
    return Outcome.DONE


def _ask_to_go_ahead(job: Job, session: Session) -> Outcome:
    """DONE for a clear yes. After a no the answers are kept, so the passwords made up for them are shown once more."""
    from hermes_setup.questions.proceed import GO_AHEAD
    from hermes_setup.questions.prompt import Back, agreed
    from hermes_setup.values import replace

    if not session.interactive:
        raise WrongInput(
            "Can't ask whether to go ahead: this is not a terminal.", hint="Add --yes to agree to this plan."
        )
    while isinstance(reply := agreed(session.asker, replace(GO_AHEAD, back=job.asked)), Back):
        if job.asked:
            return Outcome.BACK
        session.asker.tell("There is no question before this one. y makes these changes, n leaves everything as it is.")
    if reply:
        return Outcome.DONE
    session.screen.say("Nothing was changed.")
    if job.asked and job.whole_setup:
        show_passwords(job.made_up, session)
    return Outcome.DECLINED


def _finish(job: Job, answers: Answers, session: Session) -> None:
    """The state says that these answers hold, and that nothing is unfinished."""
    session.state.mark_finished(None if job.removes_setup else answers)
    session.under_way = None
    session.finished = True
    session.state.save_rendered({} if job.removes_setup else session.renderer.used)


def _show_end(job: Job, answers: Answers, session: Session, codes: Sequence[str]) -> None:
    screen = session.screen
    if job.undoes:
        screen.say(_undone_text(job.undoes, codes, removes_setup=job.removes_setup), "bold")
    elif not job.whole_setup:
        screen.say(f"Done. Who can sign in: {listed([*htpasswd.read(session.host)])}.", "bold")
        if job.asked:
            show_passwords(job.made_up, session)
    else:
        show_done(screen, answers, job.made_up if job.asked else {}, htpasswd.read(session.host))


def _undone_text(run: Journal, codes: Sequence[str], *, removes_setup: bool) -> str:
    """What an undo says at its end."""
    if "undo.edited" in codes:
        return "Undone, except for what was edited since (above)."
    if removes_setup:
        return "Undone. Nothing is set up here any more. To start again: sudo hermes-setup"
    if run.info.undoes:
        return "Done again: everything is as it was after that run. The same once more undoes it."
    return "Undone: everything is as it was before the last run. The same once more does that run again."


def forecast(
    steps: Sequence[Step], answers: Answers, session: Session, known: Preflight | None = None
) -> tuple[Preflight, list[Event]]:
    """What is there, and the events of a run: the same run, over a machine whose writes stay in memory.

    Raises Blocked, with all findings, when a check blocks.
    """
    from hermes_setup.system.overlay import Overlay

    known = known or preflight(steps, answers, session.host)
    return known, list(engine_run(steps, answers, Overlay(session.host), NoJournal(), known))


def changes_in(events: Sequence[Event]) -> list[tuple[str, Change]]:
    """(step, change) of each file and command among the events, without stamps and probes."""
    return [
        (event.stage, event.change)
        for event in events
        if isinstance(event, Doing) and isinstance(event.change, (Place, Run))
    ]


def probes_in(events: Sequence[Event], step: str = "") -> bool:
    """True where there is a probe among the events (of that step): something has yet to be seen to work."""
    return any(
        isinstance(event, Doing) and isinstance(event.change, Probe) and step in ("", event.stage) for event in events
    )


def _run_steps(
    steps: Sequence[Step], answers: Answers, session: Session, journal: Journal, known: Preflight | None
) -> None:
    """The run itself, shown as it goes. `session.under_way` says what is done so far, in case it is interrupted."""
    session.under_way = work = UnderWay()
    with session.screen.progress() as progress:
        session.host.on_line = progress.show_output
        for event in engine_run(steps, answers, session.host, journal, known):
            match event:
                case Started():
                    work.steps.append(event.title)
                    session.log.write(f"stage {event.stage}")
                case Doing():
                    session.log.write(f"{event.stage}: {event.change.why}")
                case Finished() if event.changed:
                    work.done.append(event.title)
                case _:
                    pass
            progress.show(event)


def _save_line_dates(events: Sequence[Event], session: Session, *, written: bool) -> None:
    """The state says when each line of the users' file was written that this run changes, or leaves. See `state.line_dates`.

    `written`: the run writes new lines; an undo brings old ones back.
    """
    from hermes_setup.state.line_dates import LineDate, line_dates

    before = after = htpasswd.read(session.host)
    for _, change in changes_in(events):
        if isinstance(change, Place) and change.path == htpasswd.USERS_FILE:
            text = change.node.content if isinstance(change.node, File) else b""
            after = htpasswd.hashes(text.decode("utf-8", "surrogateescape"))
    now = LineDate(session.host.now(), exact=True) if written else None
    session.state.save_line_dates(line_dates(session.state.line_dates(), before, after, htpasswd.last_written(), now))


def _print_passwords(made_up: Mapping[str, str]) -> None:
    """The passwords are on stdout. Raises HermesSetupError where that failed: no one would know them."""
    import os

    try:
        if sys.stdout is None:
            raise OSError(9, os.strerror(9))
        for name, password in made_up.items():
            print(f"{name}\t{password}", flush=True)
    except OSError as error:
        discard(1)
        raise HermesSetupError(
            f"The made-up password could not be written to stdout ({os.strerror(error.errno or 0)}), so nothing was changed.",
            hint="Let stdout go to the screen or to a file with room, or choose a password of your own.",
        ) from None


def show_passwords(made_up: Mapping[str, str], session: Session) -> None:
    """The passwords are on the screen."""
    for name, password in made_up.items():
        show_password(session.screen, name, password)


@contextmanager
def passwords_not_lost(made_up: Mapping[str, str], session: Session, *, kept: bool = True) -> Iterator[None]:
    """Passwords that were to be shown once more at the end are shown after an error or ^C, too.

    But not where nothing was changed and the answers are not `kept`: then they work nowhere. Nor after a check that
    blocks: the user is asked "What now?" first.
    """
    import contextlib

    try:
        yield
    except BaseException as error:
        if session.under_way or (kept and not isinstance(error, Blocked)):
            with contextlib.suppress(OSError):  # the terminal may be gone
                show_passwords(made_up, session)
        raise
