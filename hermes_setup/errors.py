"""What went wrong, in words for the person at the keyboard. One type, one handler (in `main`).

A message says what happened and why; the hint is the next thing to type or to do.
"""

from __future__ import annotations


class HermesSetupError(Exception):
    """Something that the user can fix. `exit_code` is the exit status of the program."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class WrongInput(HermesSetupError):
    """What was typed can't be used: a flag, an answer, a file of answers.

    `instead` is what was probably meant, "" where that is unknown. It is proposed, never taken for an answer.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "", instead: str = "") -> None:
        super().__init__(message, hint)
        self.instead = instead


class Busy(HermesSetupError):
    """Another run holds the lock."""

    exit_code = 75


class CommandFailed(HermesSetupError):
    """A command ended with another status than 0; `output` is what it printed."""

    def __init__(self, message: str, hint: str = "", output: str = "", code: int = 1) -> None:
        super().__init__(message, hint)
        self.output = output
        self.code = code
