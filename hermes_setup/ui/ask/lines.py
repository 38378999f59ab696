"""Questions on a terminal that only writes lines: nothing on it is ever moved or overwritten."""

from __future__ import annotations

import sys
import textwrap
from typing import TextIO

from hermes_setup.questions.prompt import BACK, Back, Choice, Prompt
from hermes_setup.ui.terminal import Terminal, columns, one_line

INTRODUCTION = "Enter takes the answer in [brackets]. < and Enter goes back. Ctrl-C stops."
BACK_KEY = "<"


class Lines:
    """Asks line by line. A choice is typed as its number or letter, or as the start of its label."""

    def __init__(self, terminal: Terminal, stream: TextIO | None = None) -> None:
        self._terminal = terminal
        self._stream = stream or sys.stderr
        self._introduced = False
        self._last_text = ""
        """The last text that was typed. Once it is refused it is not proposed again: Enter would repeat it forever."""

    def tell(self, line: str) -> None:
        """The line is on the screen, wrapped at words."""
        width = max(20, columns(self._stream) - 1)
        for part in textwrap.wrap(self._clean(line), width) or [""]:
            self._stream.write(part + "\n")
        self._stream.flush()

    def ask(self, prompt: Prompt, error: str = "") -> str | Back:
        """What was typed; for a choice, its value."""
        self._explain(prompt, error)
        text = self._clean(prompt.text)
        match prompt.kind:
            case "choice":
                reply = self._read_choice(prompt)
            case "password":
                reply = self._read_password(f"? {text}: ")
            case "confirm":
                reply = self._read_line(f"? {text} {yes_no(prompt)} ") or prompt.default
            case "text":
                reply = self._last_text = self._read_text(prompt, refused=self._last_text if error else "")
        return BACK if reply.strip() == BACK_KEY else reply

    def _explain(self, prompt: Prompt, error: str) -> None:
        """What was wrong, or what the question is about, is shown; a made-up password on its own line, easy to copy."""
        if not self._introduced:
            self._introduced = True
            self.tell(INTRODUCTION)
        if error:
            self.tell(f"! {error}")
        else:
            self._stream.write("\n")
            hint = "(< goes back)" if prompt.back and prompt.kind != "choice" else ""
            if prompt.help or hint:
                self.tell(f"{prompt.help} {hint}".strip())
        if prompt.secret:
            self._stream.write(f"\n    {prompt.secret}\n\n")
        self._stream.flush()

    def _read_text(self, prompt: Prompt, refused: str) -> str:
        """The line that was typed; for an empty one, the text in brackets."""
        proposal = next((text for text in (prompt.typed, prompt.default) if text and text != refused), "")
        shown = f" [{self._clean(proposal)}]" if proposal else ""
        text = self._read_line(f"? {self._clean(prompt.text)}{shown}: ")
        return text if text.strip() else proposal

    def _read_choice(self, prompt: Prompt) -> str:
        """The value of the choice that was typed; the line itself where it is none of them."""
        keys = choices_by_key(prompt)
        proposal = next((key for key, choice in keys.items() if choice.value == prompt.default), "")
        for key, choice in keys.items():
            self.tell(f"  {key}) {choice.label}")
        if prompt.back:
            self.tell(f"  {BACK_KEY}) go back")
        text = self._read_line(f"? {self._clean(prompt.text)}{f' [{proposal}]' if proposal else ''}: ").strip()
        if not text:
            return prompt.default
        found = keys.get(text.lower()) or _choice_that_starts_with(prompt, text)
        return found.value if found else text

    def _read_line(self, shown: str) -> str:
        self._stream.write(shown)
        self._stream.flush()
        raw = sys.stdin.buffer.readline()
        if not raw:
            self._stream.write("\n")
            raise KeyboardInterrupt
        return raw.decode("utf-8", "surrogateescape").rstrip("\r\n")  # what is not UTF-8 is refused by the parsers

    def _read_password(self, shown: str) -> str:
        import getpass

        try:
            return getpass.getpass(shown, stream=self._stream)
        except EOFError:
            raise KeyboardInterrupt from None

    def _clean(self, text: str) -> str:
        return one_line(text, unicode=self._terminal.unicode)


def choices_by_key(prompt: Prompt) -> dict[str, Choice]:
    """The choices by what is typed for them: their letter where they have one, else their number."""
    return {choice.key or str(number): choice for number, choice in enumerate(prompt.choices, 1)}


def yes_no(prompt: Prompt) -> str:
    """The answers to a question of kind confirm, as they stand after it; the one that Enter takes in capitals."""
    return {"yes": "[Y/n]", "no": "[y/N]"}.get(prompt.default, "[y/n]")


def _choice_that_starts_with(prompt: Prompt, text: str) -> Choice | None:
    """The one choice whose label starts with the text, None where there is none or more than one.

    A number, the value of a choice, or "<" is not taken for the start of a label.
    """
    if not text[:1].isalpha() or text in (choice.value for choice in prompt.choices):
        return None
    found = [choice for choice in prompt.choices if choice.label.casefold().startswith(text.casefold())]
    return found[0] if len(found) == 1 else None
