"""How a run ended: what failed and what to do next, or the address and what to type later; and what doctor found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import LETSENCRYPT_STAGING
from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.engine.loop import Blocked, StageFailed
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.phrases import count_of, listed
from hermes_setup.ui.typed_command import command_line

if TYPE_CHECKING:
    from hermes_setup.ui.screen import Screen

MAX_OUTPUT = 200  # lines of a failed command's output: all, of nearly every one; the reason is at its end


def show_error(screen: Screen, error: HermesSetupError, *, log: str = "") -> None:
    """What stopped the run, why, the end of the command's output, and what to do next."""
    match error:
        case Blocked():
            screen.findings(error.findings)
            screen.say("Nothing was changed in this step. Fix what blocks it, then run the same command again.", "bold")
        case StageFailed():
            screen.hang("Failed: ", error.message, "bold red")
            _show_output(screen, error.cause)
            screen.say(f"The files of this step were put back as they were{', except:' if error.left else '.'}")
            for line in error.left:
                screen.hang("  - ", line, "yellow")
            if error.hint:
                screen.hang("Next: ", error.hint, "bold")
        case _:
            screen.hang("Error: ", error.message, "bold red")
            if error.hint:
                screen.hang("  ", error.hint)
            _show_output(screen, error)
    if log and not isinstance(error, Blocked):
        screen.say(f"More is in {log}", "dim")


def _show_output(screen: Screen, error: HermesSetupError) -> None:
    """The end of what the command printed that failed, if it is one."""
    if isinstance(error, CommandFailed) and error.output.strip():
        lines = error.output.rstrip().splitlines()
        if left_out := count_of(max(0, len(lines) - MAX_OUTPUT), "line"):
            screen.hang("  | ", f"({left_out} before)", "dim", "dim")
        for line in lines[-MAX_OUTPUT:]:
            screen.hang("  | ", line, "dim")


def show_done(screen: Screen, answers: Answers, passwords: Mapping[str, str], users: Iterable[str] = ()) -> None:
    """The address, who can sign in (`users`; else those of the answers), `passwords` once more, what to type later."""
    from rich.text import Text

    screen.say()
    screen.say("Done. Your Hermes dashboard is at", "bold")
    screen.say()
    screen.row(Text(f"    https://{answers.domain.ascii}/", "bold"))
    if answers.domain.shown != answers.domain.ascii:
        screen.hang("    ", f"(in the browser: {answers.domain.shown})")
    screen.say()
    names = [*users] or [user.name for user in answers.users]
    screen.hang("Who can sign in: ", listed([screen.clean(name) for name in names]))
    if answers.allow:
        screen.hang("Opens only from: ", ", ".join(answers.allow))
    for name, password in passwords.items():
        screen.say()
        show_password(screen, name, password)
    if trust := _trust_note(answers):
        screen.say()
        screen.say(trust)
    screen.say()
    _show_commands(
        screen,
        ("Add a user", "sudo hermes-setup users add NAME"),
        ("New password", "sudo hermes-setup users passwd NAME"),
        ("Check", "sudo hermes-setup doctor"),
        ("Undo", "sudo hermes-setup undo --last"),
        ("Sign out", f"https://{answers.domain.ascii}/.hermes/sign-out"),
    )


def _trust_note(answers: Answers) -> str:
    """What the browser will say about the certificate, "" for nothing."""
    if answers.issuer.self_signed:
        return (
            "Your browser warns at the first visit, because this server signed its certificate itself. That is expected: "
            'choose "Advanced", then continue. With a public domain, run hermes-setup again and choose Let\'s Encrypt.'
        )
    if answers.issuer.directory == LETSENCRYPT_STAGING:
        return (
            "Your browser warns: this is a test certificate (Let's Encrypt staging). When everything works, run hermes-setup again and "
            "choose Let's Encrypt."
        )
    return ""


def show_password(screen: Screen, name: str, password: str) -> None:
    """The made-up password is on a line of its own, easy to copy."""
    from rich.text import Text

    screen.say(f"The password of {screen.clean(name)}, shown only this once; save it now:")
    screen.row(Text(f"    {password}", "bold"))


def _show_commands(screen: Screen, *pairs: tuple[str, str]) -> None:
    """What to type for what; below it, where not all fit beside it: a command that is broken can't be copied."""
    from rich.text import Text

    beside = max(len(name) for name, _ in pairs) + 2
    if all(beside + len(typed) <= screen.width for _, typed in pairs):
        screen.pairs(pairs)
        return
    for name, typed in pairs:
        screen.say(name)
        screen.row(Text(f"    {typed}"))


def show_doctor(screen: Screen, findings: Sequence[tuple[str, Finding]], pending: Sequence[tuple[str, Change]]) -> None:
    """What the checks saw, what is not as it should be, and the sum of it."""
    found = [finding for _, finding in findings]
    screen.findings(found)
    wanted = [change for _, change in pending if isinstance(change, Place | Run)]
    if wanted:
        screen.say("Not as it should be; sudo hermes-setup fixes it:", "bold")
        for change in wanted:
            subject = change.path if isinstance(change, Place) else command_line(change)
            screen.hang("  ~ ", f"{screen.clean(subject)}: {change.why}")
    blocks = sum(finding.severity is Severity.BLOCK for finding in found)
    warns = sum(finding.severity is Severity.WARN for finding in found)
    if not (blocks or warns or wanted):
        screen.say("All is well.", "bold")
        return
    parts = [
        count_of(blocks, "problem"),
        count_of(warns, "warning"),
        count_of(len(wanted), "change") + " pending" if wanted else "" if blocks else "no change pending",
    ]
    screen.say(f"{', '.join(part for part in parts if part)}.", "bold")
