"""A person at a terminal in a machine of the lab: reads the screen as it stands, types, presses ^C, hangs up."""

from __future__ import annotations

import os
import termios
import time
from collections.abc import Callable, Mapping

import pexpect
import pyte

from lab import Machine
from real.program import COMMAND

SECONDS = 60.0


opened: list[Terminal] = []
"""Every terminal of the test that runs, for what is kept when it fails (tests/vps/conftest.py)."""


class Terminal:
    """One command on a terminal of its own, 80x24 unless told otherwise."""

    def __init__(
        self,
        machine: Machine,
        *argv: str,
        command: str = COMMAND,
        rows: int = 24,
        columns: int = 80,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream = pyte.Stream(self.screen)
        self.raw = ""
        self.child = machine.spawn([command, *argv], rows=rows, cols=columns, env=env)
        self.child.delaybeforesend = None
        self._before = _settings(self.child.child_fd)
        self._typed = 0
        opened.append(self)

    def _pump(self, seconds: float) -> bool:
        try:
            data = self.child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    @property
    def text(self) -> str:
        """The screen, without what is empty at its end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def until(self, holds: Callable[[str], bool] | str, seconds: float = SECONDS) -> str:
        """The screen, as soon as it holds that, or as soon as that text stands at its very end."""
        ready = holds if callable(holds) else lambda text: text.endswith(holds)
        end = time.monotonic() + seconds
        open_ = True
        while not ready(self.text):
            assert time.monotonic() < end and open_, f"never came: {holds!r}\n{self.text}\n---\n{self.raw[-3000:]!r}"
            open_ = self._pump(0.2)
        return self.text

    def sees(self, text: str, seconds: float = SECONDS) -> str:
        """The screen, as soon as the text stands anywhere on it."""
        return self.until(lambda screen: text in screen, seconds)

    def has_said(self, text: str, seconds: float = SECONDS) -> None:
        """The text came, wherever it has scrolled to; an escape sequence in the midst of it would hide it."""
        end = time.monotonic() + seconds
        while text not in self.raw:
            open_ = self._pump(0.1)
            assert time.monotonic() < end and open_, f"never said: {text!r}\n{self.raw[-3000:]}"

    def waits(self, shown: str | Callable[[str], bool] = "", seconds: float = SECONDS) -> str:
        """The screen, as soon as a question that was not there when the last key was pressed waits and that holds."""

        def ready(text: str) -> bool:
            opened, closed = (
                self.raw.rfind(f"\x1b[?2004{mark}") for mark in "hl"
            )  # bracketed paste: only while asking
            return (
                opened > closed and opened >= self._typed and (shown(text) if callable(shown) else text.endswith(shown))
            )

        return self.until(ready, seconds)

    def type(self, keys: str) -> None:
        """The keys are pressed."""
        self._typed = len(self.raw)
        self.child.send(keys)

    def interrupt(self) -> None:
        """^C is pressed."""
        self.child.sendintr()

    def resize(self, rows: int, columns: int) -> None:
        """The window has another size."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def hang_up(self) -> int:
        """The window is gone, and the exit status (negative: the signal) of what ran in it."""
        self.child.ptyproc.fileobj.close()
        self.child.ptyproc.closed = self.child.closed = True
        pid = self.child.pid
        end = time.monotonic() + SECONDS
        while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < end, "it lives on without its terminal"
            time.sleep(0.02)
        self.child.ptyproc.terminated = self.child.terminated = True
        return os.waitstatus_to_exitcode(ended[1])

    def ended(self, seconds: float = SECONDS) -> int:
        """Its exit status, once it is over; the terminal is as it was found."""
        end = time.monotonic() + seconds
        while self._pump(0.2):
            assert time.monotonic() < end, self.text
        after = _settings(self.child.child_fd)
        assert after == self._before, "the terminal's settings are not as they were"
        assert not self.screen.cursor.hidden, f"the cursor is hidden: {self.raw[-600:]!r}"
        assert self.raw.count("\x1b[?2004h") == self.raw.count("\x1b[?2004l"), "bracketed paste is left on"
        assert self.raw.count("\x1b[?1049h") == self.raw.count("\x1b[?1049l"), "the other screen is left on"
        self.child.close()
        assert self.child.exitstatus is not None, f"ended by signal {self.child.signalstatus}"
        return self.child.exitstatus


def _settings(handle: int) -> list[object]:
    return termios.tcgetattr(handle)[:4]
