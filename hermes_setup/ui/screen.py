"""The screen: lines wrapped at words, findings, tables. Talk, so it goes to stderr.

    screen = Screen()
    screen.say("..."); screen.findings(found)
    with screen.progress() as progress:
        for event in engine.run(...): progress.show(event)

More of what it shows is in `forecast` (what a run would change) and `end` (how it ended). Nothing here reads or changes the
machine. What others wrote (names, file contents, answers from the network) goes through `printable` and is never read as
markup. rich is used only here and in what draws on a Screen, and loaded with the first line that is drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.phrases import count_of
from hermes_setup.ui.progress import Progress
from hermes_setup.ui.stream import PatientStream
from hermes_setup.ui.terminal import Terminal, columns, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_LABELS = {
    Severity.BLOCK: ("BLOCKS", "bold red"),
    Severity.WARN: ("warning", "bold yellow"),
    Severity.NOTE: ("note", "bold"),
}
MAX_EVIDENCE = 40  # lines: all, of nearly every finding; the reason is at their end
MAX_INDENT = 12  # columns of the rows below a long head; a quarter of a wider screen
NOT_WRAPPED = 100_000  # columns, of what is not a terminal


class Screen:
    """Draws on one stream, as wide as its terminal. What is not a terminal gets whole lines, which can be searched."""

    def __init__(
        self, stream: TextIO | None = None, terminal: Terminal | None = None, width: int | None = None
    ) -> None:
        stream = stream or sys.stderr
        self.terminal = terminal or Terminal.here(stderr=stream)
        self._raw_stream = stream
        self._stream = PatientStream(stream)
        self._width = width or (None if self.terminal.screen else NOT_WRAPPED)
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
            force_terminal=self.terminal.screen,  # else FORCE_COLOR would put colors into a file
            color_system="auto" if self.terminal.moves else None,
            legacy_windows=False,
        )

    @property
    def width(self) -> int:
        """How many columns a row has, as the window is now. (rich takes 80 for every dumb terminal.)"""
        return self._width or (self.console.width if self.terminal.moves else columns(self._raw_stream))

    # ---- lines ----

    def say(self, text: str = "", style: str = "") -> None:
        """The text, wrapped at words."""
        self.hang("", text, style)

    def hang(self, first: str, text: str, style: str = "", body: str = "") -> None:
        """`first`, then the text. Further rows of the text are indented to where it starts, if `first` is short enough."""
        if self._width == NOT_WRAPPED:  # nothing to wrap or to color: a file, or a pipe, does not wait for rich
            rows = self.clean_text(text).split("\n")
            heads = [first, *[" " * min(len(first), MAX_INDENT)] * (len(rows) - 1)]
            self._stream.write("".join(f"{head}{row.rstrip()}\n" for head, row in zip(heads, rows, strict=True)))
            return
        from rich.cells import cell_len
        from rich.text import Text

        width = self.width
        at = max(MAX_INDENT, width // 4)
        head, rest = first[:at], first[at:]  # the rest of a long head is wrapped with the text
        indent = cell_len(head)
        for number, part in enumerate(self.clean_text(text).split("\n")):
            whole = Text.assemble((rest if number == 0 else "", style), (part, body))
            wrapped = whole.wrap(self.console, max(10, width - indent), overflow="fold", tab_size=4) or [Text()]
            for index, row in enumerate(wrapped):
                row.rstrip()
                line = Text(head, style) if number == index == 0 else Text(" " * indent)
                self.row(line.append_text(row))

    def row(self, text: Text) -> None:
        """The text is drawn as it is: clean it first. A long one is not wrapped, so that it can be copied."""
        self.console.print(text, soft_wrap=True)

    def clean_text(self, text: str) -> str:
        """The text as this terminal can show it, without anything in it that controls the terminal."""
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
            label, style = _LABELS[finding.severity]
            self.hang(f"{label}: ", finding.what, style)
            if finding.why:
                self.hang("  why: ", finding.why)
            if finding.do:
                self.hang("  do:  ", finding.do)
            if finding.evidence:
                lines = finding.evidence.strip("\n").split("\n")
                left_out = count_of(max(0, len(lines) - MAX_EVIDENCE), "line")
                self.hang(
                    "  seen: ",
                    "\n".join([*([f"({left_out} before)"] if left_out else []), *lines[-MAX_EVIDENCE:]]),
                    "dim",
                    "dim",
                )

    # ---- the run ----

    def progress(self) -> Progress:
        """Shows the events of a run as they happen."""
        return Progress(self)

    # ---- tables ----

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """(name, text), a line each; the texts are aligned."""
        width = max(len(name) for name, _ in pairs)
        for name, text in pairs:
            self.hang(f"{name:{width}}  ", self.clean(text))

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
                self.row(Text(f"{name}{' ' * max(2, width - cell_len(name) + 2)}{self.clean(note)}"))
            else:
                self.console.file.write(f"{name}\t{self.clean(note)}\n")  # rich would make spaces of the tab
