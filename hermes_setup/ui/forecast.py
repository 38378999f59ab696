"""What a run would change, as it is shown before "Go ahead?", and in full by a dry run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.events import Did, Doing, Event, Finished, Seen, Started
from hermes_setup.host import File, Node
from hermes_setup.ui.diff import attributes, difference, is_secret, sign_and_style
from hermes_setup.ui.typed_command import command_line, program_and_verb

if TYPE_CHECKING:
    from hermes_setup.ui.screen import Screen


def show_forecast(screen: Screen, events: Iterable[Event], *, diffs: bool = False) -> int:
    """Every change of a run in memory is on the screen, by step; with `diffs` in full. How many there are.

    Findings on the way are shown where they were seen.
    """
    count = 0
    title = ""
    for event in events:
        match event:
            case Started():
                title = event.title
            case Seen():
                screen.findings(event.findings)
            case Doing():
                if isinstance(event.change, Stamp | Probe) and not diffs:
                    continue
                if title:
                    screen.hang("", title, "bold", "bold")
                    title = ""
                count += isinstance(event.change, Place | Run)
                if diffs:
                    _show_in_full(screen, event.change, event.before)
                else:
                    _show_in_short(screen, event.change, event.before)
            case Did() | Finished():
                pass
    if not count:
        screen.say("Nothing to change: everything is as it should be.")
    elif not diffs:
        screen.say("To see every file and command in full: the same with --dry-run.", "dim")
    return count


def _show_in_short(screen: Screen, change: Change, before: Node | None) -> None:
    match change:
        case Place():
            sign, style = sign_and_style(change.node, before)
            screen.hang(f"  {sign} ", f"{screen.clean(change.path)}: {change.why}", style)
        case Run():
            screen.hang("  > ", f"{program_and_verb(change)}: {_why(change)}", "bold")
        case Stamp() | Probe():
            pass


def _show_in_full(screen: Screen, change: Change, before: Node | None) -> None:
    match change:
        case Place():
            _show_in_short(screen, change, before)
            for line in attributes(change.node, before):
                screen.hang("      ", line, "", "dim")
            _show_diff(screen, change, before)
        case Run():
            screen.hang("  > ", command_line(change), "bold")
            screen.hang("      ", _why(change), "", "dim")
            if change.stdin:
                screen.hang("      ", "(its input is not shown)", "", "dim")
        case Stamp():
            screen.hang("  * ", f"{screen.clean(change.path)}: {change.why}", "dim", "dim")
        case Probe():
            screen.hang("  ? ", f"only in a real run: {change.why}", "dim", "dim")


def _why(run: Run) -> str:
    return f"{run.why} (cannot be undone)" if run.irreversible else run.why


def _show_diff(screen: Screen, change: Place, before: Node | None) -> None:
    from rich.text import Text

    if is_secret(change.node) or is_secret(before):
        if isinstance(change.node, File) or isinstance(before, File):
            screen.hang("      ", "(content not shown: it is secret)", "", "dim")
        return
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in difference(change.path, before, change.node):
        # no wrapping: a line of a file stays one line, so that the diff can be copied
        screen.row(Text(f"    {screen.clean(line)}", styles.get(line[:1], "")))
