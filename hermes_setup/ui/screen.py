"""What the user sees: findings, the forecast of all changes, the progress, the end. Talk, so it goes to stderr.

    screen = Screen()
    screen.findings(found); screen.forecast(events, diffs=True); screen.failed(error); screen.done(answers, ...)
    with screen.progress() as progress:
        for event in engine.run(...): progress.show(event)

Nothing here reads or changes the machine. What others wrote (names, file contents, answers from the network) goes
through `printable` and is never read as markup. rich is met only here, and only when something is drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.events import Did, Doing, Event, Finished, Seen, Started
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.engine.loop import Blocked, StageFailed
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import File, Node
from hermes_setup.phrases import listed
from hermes_setup.ui.commands import command, finality, program
from hermes_setup.ui.diff import attributes, difference, is_secret, sign_and_style
from hermes_setup.ui.phrases import count_of, trust_note
from hermes_setup.ui.progress import Progress
from hermes_setup.ui.stream import PatientStream
from hermes_setup.ui.terminal import Terminal, columns, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


_WORDS = {
    Severity.BLOCK: ("BLOCKS", "bold red"),
    Severity.WARN: ("warning", "bold yellow"),
    Severity.NOTE: ("note", "bold"),
}


_TAIL = 200  # lines of a failed command's output: all, of nearly every one; the reason is at its end


_EVIDENCE = 40  # lines of what was seen, likewise


_INDENT = 12  # columns that the rows below a long head leave free at least; a quarter of a wider screen


_ENDLESS = 100_000  # columns, of what is no terminal


class Screen:
    """Draws on one stream; the width is the terminal's. Where there is none nothing is wrapped: a line can be searched for."""

    def __init__(
        self, stream: TextIO | None = None, terminal: Terminal | None = None, width: int | None = None
    ) -> None:
        stream = stream or sys.stderr
        self.terminal = terminal or Terminal.here(stderr=stream)
        self._bare = stream
        self._stream = PatientStream(stream)
        self._width = width or (None if self.terminal.screen else _ENDLESS)
        self._seen: set[Finding] = set()

    @cached_property
    def console(self) -> Console:
        """rich's view of the stream."""
        from rich.console import Console

        return Console(
            file=self._stream,  # type: ignore[arg-type]  # all that rich asks of a stream
            highlight=False,
            markup=False,
            emoji=False,
            width=self._width,
            force_terminal=self.terminal.screen,  # else FORCE_COLOR would put colours into a file
            color_system="auto" if self.terminal.moves else None,
            legacy_windows=False,
        )

    @property
    def width(self) -> int:
        """How many columns a row has, as the window is now. (rich takes every dumb terminal for one of 80.)"""
        return self._width or (self.console.width if self.terminal.moves else columns(self._bare))

    # ---- lines ----

    def say(self, text: str = "", style: str = "") -> None:
        """The text, wrapped at words."""
        self.hang("", text, style)

    def error(self, error: HermesSetupError) -> None:
        """What happened, and the next thing to do."""
        self.hang("Error: ", error.message, "bold red")
        if error.hint:
            self.hang("  ", error.hint)

    def hang(self, first: str, text: str, style: str = "", body: str = "") -> None:
        """`first`, then the text; its further rows stand below the text, where `first` leaves enough room for that."""
        if self._width == _ENDLESS:  # nothing to wrap or to colour: a file, or a pipe, does not wait for rich
            rows = self.clean_text(text).split("\n")
            heads = [first, *[" " * min(len(first), _INDENT)] * (len(rows) - 1)]
            self._stream.write("".join(f"{head}{row.rstrip()}\n" for head, row in zip(heads, rows, strict=True)))
            return
        from rich.cells import cell_len
        from rich.text import Text

        width = self.width
        at = max(_INDENT, width // 4)
        head, rest = first[:at], first[at:]  # the rest of a long head is wrapped with the text
        indent = cell_len(head)
        for number, part in enumerate(self.clean_text(text).split("\n")):
            whole = Text.assemble((rest if number == 0 else "", style), (part, body))
            wrapped = whole.wrap(self.console, max(10, width - indent), overflow="fold", tab_size=4) or [Text()]
            for index, row in enumerate(wrapped):
                row.rstrip()
                line = Text(head, style) if number == index == 0 else Text(" " * indent)
                self._row(line.append_text(row))

    def _row(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)

    def clean_text(self, text: str) -> str:
        """The text as this terminal can show it, and nothing in it that the terminal would obey."""
        return printable(text, unicode=self.terminal.unicode)

    def clean(self, text: str) -> str:
        """`clean_text` on one line."""
        return one_line(text, unicode=self.terminal.unicode)

    # ---- findings ----

    def findings(self, found: Iterable[Finding]) -> None:
        """Each finding, blocking ones first: what, why, what to do, what was seen. None is shown twice."""
        new = [finding for finding in dict.fromkeys(found) if finding not in self._seen]
        self._seen.update(new)
        for finding in sorted(new, key=lambda finding: -finding.severity):
            word, style = _WORDS[finding.severity]
            self.hang(f"{word}: ", finding.what, style)
            if finding.why:
                self.hang("  why: ", finding.why)
            if finding.do:
                self.hang("  do:  ", finding.do)
            if finding.evidence:
                lines = finding.evidence.strip("\n").split("\n")
                before = [f"({len(lines) - _EVIDENCE} lines before)"] if len(lines) > _EVIDENCE else []
                self.hang("  seen: ", "\n".join([*before, *lines[-_EVIDENCE:]]), "dim", "dim")

    # ---- the forecast ----

    def forecast(self, events: Iterable[Event], *, diffs: bool = False) -> int:
        """Every change of a run in memory, by stage; with `diffs` each file's new content. How many there are.

        Findings on the way are shown where they were seen.
        """
        count = 0
        title = ""
        for event in events:
            match event:
                case Started():
                    title = event.title
                case Seen():
                    self.findings(event.findings)
                case Doing():
                    if isinstance(event.change, Stamp | Probe) and not diffs:
                        continue
                    if title:
                        self.hang("", title, "bold", "bold")
                        title = ""
                    count += isinstance(event.change, Place | Run)
                    self._change(event.change, event.before, diffs=diffs)
                case Did() | Finished():
                    pass
        if not count:
            self.say("Nothing to change: everything is as it should be.")
        elif not diffs:
            self.say("To see every file and command in full: the same with --dry-run.", "dim")
        return count

    def _change(self, change: Change, before: Node | None, *, diffs: bool) -> None:
        match change:
            case Place():
                mark, style = sign_and_style(change.node, before)
                self.hang(f"  {mark} ", f"{self.clean(change.path)}: {change.why}", style)
                if diffs:
                    for line in attributes(change.node, before):
                        self.hang("      ", line, "", "dim")
                    self._diff(change, before)
            case Run() if not diffs:
                self.hang("  > ", f"{program(change)}: {change.why}{finality(change)}", "bold")
            case Run():
                self.hang("  > ", f"{command(change)}", "bold")
                self.hang("      ", change.why + finality(change), "", "dim")
                if change.stdin:
                    self.hang("      ", "(its input is not shown)", "", "dim")
            case Stamp():
                self.hang("  * ", f"{self.clean(change.path)}: {change.why}", "dim", "dim")
            case Probe():
                if diffs:
                    self.hang("  ? ", f"then a look: {change.why}", "dim", "dim")

    def _diff(self, change: Place, before: Node | None) -> None:
        from rich.text import Text

        if is_secret(change.node) or is_secret(before):
            if isinstance(change.node, File) or isinstance(before, File):
                self.hang("      ", "(content not shown: it is secret)", "", "dim")
            return
        styles = {"+": "green", "-": "red", "@": "cyan"}
        for line in difference(change.path, before, change.node):
            # no wrapping: a line of a file stays one line, so that the diff can be copied
            self._row(Text(f"    {self.clean(line)}", styles.get(line[:1], "")))

    # ---- the run ----

    def progress(self) -> Progress:
        """What `engine.run` tells, as it happens."""
        return Progress(self)

    def failed(self, error: HermesSetupError, *, log: str = "") -> None:
        """What stopped the run, why, the end of the command's output, and what to do next."""
        match error:
            case Blocked():
                self.findings(error.findings)
                self.say(
                    "Nothing was changed in this step. Fix what blocks it, then run the same command again.", "bold"
                )
            case StageFailed():
                self.hang("Failed: ", error.message, "bold red")
                self._tail(error.cause)
                self.say(
                    f"The files of this step were put back as they were{', but for these:' if error.left else '.'}"
                )
                for line in error.left:
                    self.hang("  - ", line, "yellow")
                if error.hint:
                    self.hang("Next: ", error.hint, "bold")
            case _:
                self.error(error)
                self._tail(error)
        if log and not isinstance(error, Blocked):
            self.say(f"More is in {log}", "dim")

    def _tail(self, error: HermesSetupError) -> None:
        if isinstance(error, CommandFailed) and error.output.strip():
            lines = error.output.rstrip().splitlines()
            if len(lines) > _TAIL:
                self.hang("  | ", f"({len(lines) - _TAIL} lines before)", "dim", "dim")
            for line in lines[-_TAIL:]:
                self.hang("  | ", line, "dim")

    # ---- the end ----

    def done(
        self, answers: Answers, made_up: Mapping[str, str] | None = None, *, changed: int = 1, who: Iterable[str] = ()
    ) -> None:
        """The address, who can sign in (`who`; else those of the answers), the passwords to show once, what to type later."""
        from rich.text import Text

        self.say()
        self.say(
            "Done. Your Hermes dashboard is at"
            if changed
            else "Nothing to do: everything is in place. Your Hermes dashboard is at",
            "bold",
        )
        self.say()
        self._row(Text(f"    https://{answers.domain.ascii}/", "bold"))
        if answers.domain.shown != answers.domain.ascii:
            self.hang("    ", f"(in the browser: {answers.domain.shown})")
        self.say()
        self.hang(
            "Who can sign in: ", listed([self.clean(name) for name in (*who,) or [u.name for u in answers.users]])
        )
        if answers.allow:
            self.hang("Opens only from: ", ", ".join(answers.allow))
        for name, password in (made_up or {}).items():
            self.say()
            self.say(f"The password of {self.clean(name)}, shown only this once; save it now:")
            self._row(Text(f"    {password}", "bold"))
        trust = trust_note(answers)
        if trust:
            self.say()
            self.say(trust)
        self.say()
        self._commands(
            ("Add a user", "sudo hermes-setup users add NAME"),
            ("New password", "sudo hermes-setup users passwd NAME"),
            ("Check", "sudo hermes-setup doctor"),
            ("Undo", "sudo hermes-setup undo --last"),
        )

    def _pairs(self, *pairs: tuple[str, str]) -> None:
        width = max(len(name) for name, _ in pairs)
        for name, text in pairs:
            self.hang(f"{name:{width}}  ", text)

    def _commands(self, *pairs: tuple[str, str]) -> None:
        """What to type for what; below it, where not all fit beside it: a command that is broken cannot be copied."""
        from rich.text import Text

        beside = max(len(name) for name, _ in pairs) + 2
        if all(beside + len(typed) <= self.width for _, typed in pairs):
            self._pairs(*pairs)
            return
        for name, typed in pairs:
            self.say(name)
            self._row(Text(f"    {typed}"))

    # ---- what there is ----

    def overview(self, pairs: Sequence[tuple[str, str]]) -> None:
        """What is set up here, a line each."""
        self._pairs(*((name, self.clean(text)) for name, text in pairs))
        self.say()

    def users_table(self, rows: Sequence[tuple[str, str]]) -> None:
        """(name, where it comes from), a row each: aligned on a terminal, with a tab between where it is not one.

        It is data: make the Screen with sys.stdout. In a pipe or a file the locale of a terminal does not matter.
        """
        from rich.cells import cell_len
        from rich.text import Text

        names = [self.clean(name) if self.terminal.screen else one_line(name) for name, _ in rows]
        width = min(max(map(cell_len, names), default=0), max(8, self.width - 24))
        for name, (_, note) in zip(names, rows, strict=True):
            if self.terminal.screen:
                self._row(Text(f"{name}{' ' * max(2, width - cell_len(name) + 2)}{self.clean(note)}"))
            else:
                self.console.file.write(f"{name}\t{self.clean(note)}\n")  # rich would make spaces of the tab

    def doctor(self, findings: Sequence[tuple[str, Finding]], pending: Sequence[tuple[str, Change]]) -> None:
        """What the checks saw, what is not as it should be, and the sum of it."""
        found = [finding for _, finding in findings]
        self.findings(found)
        wanted = [change for _, change in pending if isinstance(change, Place | Run)]
        if wanted:
            self.say("Not as it should be; sudo hermes-setup fixes it:", "bold")
            for change in wanted:
                subject = change.path if isinstance(change, Place) else command(change)
                self.hang("  ~ ", f"{self.clean(subject)}: {change.why}")
        blocks = sum(finding.severity is Severity.BLOCK for finding in found)
        warns = sum(finding.severity is Severity.WARN for finding in found)
        if not (blocks or warns or wanted):
            self.say("All is well.", "bold")
            return
        parts = [
            count_of(blocks, "problem"),
            count_of(warns, "warning"),
            count_of(len(wanted), "change") + " pending" if wanted else "" if blocks else "no change pending",
        ]
        self.say(f"{', '.join(part for part in parts if part)}.", "bold")
