"""`hermes-setup doctor`: what is wrong, and what would be changed. Writes nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from hermes_setup.arguments import Parser
    from hermes_setup.engine.changes import Change
    from hermes_setup.engine.events import Event
    from hermes_setup.engine.findings import Finding
    from hermes_setup.session import Outcome, Session

HELP = "say what is wrong, and what would be changed"
USAGE = """\
  hermes-setup doctor [--json]      what is wrong, and what would be changed; writes nothing
"""


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.flag("--json", "print it for programs")


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """What the checks found is on the screen, or on stdout as JSON; FOUND where something needs attention."""
    session.need_root()
    return examine(session, as_json=arguments.json)


def examine(session: Session, *, as_json: bool = False) -> Outcome:
    """As `run`."""
    from hermes_setup.engine.failed_step import NoJournal
    from hermes_setup.engine.findings import warn
    from hermes_setup.engine.loop import Blocked, preflight
    from hermes_setup.engine.loop import run as engine_run
    from hermes_setup.job import changes_in, probes_in
    from hermes_setup.stages import all_steps
    from hermes_setup.system.overlay import Overlay

    stored = session.state.answers()
    if stored is None:
        nothing_yet = warn(
            "setup.never",
            "Nothing is set up here yet.",
            "There are no answers on this machine.",
            "Start: sudo hermes-setup",
        )
        return _report("", [("setup", nothing_yet)], [], session, as_json=as_json)
    steps = all_steps(session.renderer, lockout=session.options.lockout)
    known = preflight(steps, stored, session.host)
    pending: list[Event] = []
    try:
        for event in engine_run(steps, stored, Overlay(session.host), NoJournal(), known):
            pending.append(event)
    except Blocked:
        pass  # its findings are among those of the preflight
    found = list(known.findings)
    if probes_in(pending, "proof") and not changes_in(pending):
        unproven = warn(
            "setup.unproven",
            "Everything is in place, but nobody has seen it work yet.",
            "The last run stopped or failed before its last step, the proof.",
            "To run that step: sudo hermes-setup",
        )
        found.append(("setup", unproven))
    return _report(stored.domain.ascii, found, changes_in(pending), session, as_json=as_json)


def _report(
    domain: str,
    findings: list[tuple[str, Finding]],
    pending: list[tuple[str, Change]],
    session: Session,
    *,
    as_json: bool,
) -> Outcome:
    from hermes_setup import __version__
    from hermes_setup.engine.findings import Severity
    from hermes_setup.session import Outcome
    from hermes_setup.ui.end import show_doctor
    from hermes_setup.ui.json import doctor_json

    ok = not pending and all(finding.severity is Severity.NOTE for _, finding in findings)
    if as_json:
        print(doctor_json(__version__, domain, findings, pending, ok=ok))
    else:
        show_doctor(session.fresh_screen(), findings, pending)
    return Outcome.SHOWN if ok else Outcome.FOUND
