"""The progress of a run: one line for each step, and below it what is running now."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from hermes_setup.engine.changes import Change, Place, Run, Stamp
from hermes_setup.engine.events import Did, Doing, Event, Finished, Seen, Started
from hermes_setup.engine.findings import Severity
from hermes_setup.phrases import count_of

if TYPE_CHECKING:
    from rich.status import Status
    from rich.text import Text

    from hermes_setup.ui.screen import Screen


class Progress:
    """One line for the result of each step; while something runs, a moving line below, where the cursor may be moved."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._status: Status | None = None
        self._step = ""  # its number and title
        self._line = ""  # the moving line
        self._changes = 0  # of this step
        self._warned = False
        self.changes = 0
        """How many files and commands there were so far, in all steps."""

    def __enter__(self) -> Progress:  # noqa: PYI034 - Self is not in the standard library of 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_moving()

    def show(self, event: Event) -> None:
        """The event is on the screen."""
        match event:
            case Started():
                width = len(str(event.total))
                self._step = f"[{event.number:>{width}}/{event.total}] {self._screen.clean(event.title)}"
                self._changes, self._warned = 0, False
                self._show_moving(self._step)
            case Seen():
                self._warned = self._warned or any(finding.severity is Severity.WARN for finding in event.findings)
                self._stop_moving()
                self._screen.findings(event.findings)
            case Doing():
                self._show_change(event.change)
            case Did():
                self._stop_moving()
                if isinstance(event.change, Place | Run):
                    self._changes += 1
                    self.changes += 1
            case Finished():
                self._stop_moving()
                result = count_of(self._changes, "change") or "ok"
                self._screen.hang(f"{self._step}: ", result + (", with a warning" if self._warned else ""))

    def _show_change(self, change: Change) -> None:
        if isinstance(change, Stamp):
            return
        why = self._screen.clean(change.why)
        if self._screen.terminal.moves:
            self._show_moving(f"{self._step}: {why}")
        else:
            self._screen.hang(f"{self._step}: ", f"{why} ...")

    def show_output(self, line: str) -> None:
        """The last line that the running command printed is below the moving line. Where nothing moves, it is not shown."""
        if self._status:
            self._status.update(self._rows(self._line, f"  | {self._screen.clean(line)}"))

    def _show_moving(self, text: str) -> None:
        if not self._screen.terminal.moves:
            return
        self._stop_moving()
        self._line = text
        # 4 times a second: a slow line keeps up, and what ends at once is never shown
        self._status = self._screen.console.status(self._rows(text), spinner="line", refresh_per_second=4)
        self._status.start()

    def _rows(self, *texts: str) -> Text:
        """Each text on one row: a redraw would leave further rows behind."""
        from rich.text import Text

        rows = [Text(text, no_wrap=True, overflow="crop") for text in texts]
        for row in rows:
            row.truncate(max(10, self._screen.console.width - 3))
        return Text("\n").join(rows)

    def _stop_moving(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None
