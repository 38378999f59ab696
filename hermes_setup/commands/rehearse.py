"""`hermes-setup rehearse`: the whole job for real, on a throwaway copy of this machine, told as it happens.

The same stages, the same engine and the same screen as a run; only the System is another one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import DEFAULT_BACKEND, Issuer, worldwide
from hermes_setup.engine.loop import Blocked, StageFailed
from hermes_setup.engine.loop import run as engine_run
from hermes_setup.engine.stage import Step
from hermes_setup.engine.undoing import NoJournal
from hermes_setup.errors import HermesSetupError
from hermes_setup.system.local import Local
from hermes_setup.system.rehearsal import Part, Rehearsal
from hermes_setup.ui.screen import Screen
from hermes_setup.values import replace

ELSEWHERE = "203.0.113.10"  # RFC 5737
GONE = "The copy is gone, and nothing on this server was changed."


def rehearse(answers: Answers, steps: Sequence[Step], dashboards: Sequence[tuple[str, int]], screen: Screen) -> int:
    """All steps have been done in a copy that is gone again, each told on the screen; the exit code.

    `dashboards` are the places (address, port) where Hermes proved to be; where there is none it is played. 0: all worked.
    1: a stage failed. 3: a check blocks. Raises NotAllowed where no copy can be made.
    """
    began = time.monotonic()
    play = answers.backend or DEFAULT_BACKEND
    here = Local().addresses()
    public = answers.public_addresses or outer(here)
    part = Part(
        answers.domain.ascii,
        answers.issuer.directory,
        tuple(dashboards),
        (play.address, play.port),
        tuple(dict.fromkeys((*here, *public))),
        public,
    )
    copy = Rehearsal()
    try:
        with copy:
            for step in copy.prepare(part):
                screen.say(f"{step} ...", "dim")
            if copy.plays:
                screen.say("No Hermes answers here, so in the copy something stands in for it.", "dim")
            if copy.unfiltered:
                screen.hang(
                    "warning: ",
                    "The rules of this server's firewall could not be taken over into the copy, so the step Firewall says nothing "
                    f"about this server; sudo hermes-setup --dry-run does. ({screen.clean(copy.unfiltered)})",
                    "bold yellow",
                )
            if copy.no_authority:
                screen.say(
                    f"No test authority can be had ({copy.no_authority}), so the copy signs its certificate itself."
                )
                answers = replace(answers, issuer=Issuer.parse("self-signed"))
            with screen.progress() as progress, _unless_it_died(copy):
                for event in engine_run(steps, answers, copy, NoJournal()):
                    progress.show(event)
    except Blocked as blocked:
        screen.findings(blocked.findings)
        screen.say(f"A real run would stop here. {GONE}", "bold")
        return blocked.exit_code
    except StageFailed as failed:
        if copy.interrupted:  # nothing failed by itself
            raise
        screen.failed(failed.cause)
        if "No space left on device" in getattr(failed.cause, "output", ""):
            screen.say(f"The copy lives in memory, and may take {copy.room >> 20} MB of it: too little for this.")
        screen.say(f"A real run would fail here, too, and put the files of this step back. {GONE}", "bold")
        return failed.exit_code
    screen.say()
    took = f"in {time.monotonic() - began:.0f} s"
    if not progress.changes:
        screen.say(f"Nothing would be changed: all {len(steps)} steps hold already ({took}). {GONE}", "bold")
        return 0
    screen.say(f"The rehearsal went well: all {len(steps)} steps, {took}. {GONE}", "bold")
    if copy.no_authority:
        screen.say("Not rehearsed: the order at a certificate authority, and its renewal.")
    screen.say(
        "What a copy cannot know is whether the internet reaches this server by its real name. sudo hermes-setup --dry-run "
        "looks at that, too, and shows every change."
    )
    screen.say("For real: sudo hermes-setup")
    return 0


@contextlib.contextmanager
def _unless_it_died(copy: Rehearsal) -> Iterator[None]:
    """What fails in here is the machine's fault: raises HermesSetupError where it is the copy that was killed."""
    try:
        yield
    except HermesSetupError:
        if not copy.interrupted and not copy.whole():
            raise HermesSetupError(
                "The copy, or a part of it, was killed in the middle. That says nothing about this server, which is as it was.",
                hint="Most often memory ran out: look at free -m and dmesg | tail, then run it again.",
            ) from None
        raise


def outer(addresses: Sequence[str]) -> tuple[str, ...]:
    """The first address of each family that the world could reach. Behind NAT: one that the copy has instead."""
    wide = [each for each in addresses if worldwide(each)]
    four, six = [each for each in wide if ":" not in each], [each for each in wide if ":" in each]
    return (*(four or ([] if six else [ELSEWHERE]))[:1], *six[:1])
