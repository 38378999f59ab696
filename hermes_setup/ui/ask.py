"""Questions at the keyboard. Talk goes to stderr, so that stdout stays free for data.

    asker()     Keyboard where the cursor may be moved (questionary), Lines elsewhere (TERM=dumb, a screen reader, a pipe)

Rules that both keep: "<" and Enter goes back, everywhere, with no key that a slow line could tear apart (Esc and the
arrow keys begin with the same byte). ^C and ^D raise KeyboardInterrupt. A password never appears on the screen. What
is typed ahead is an answer.
"""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from hermes_setup.questions.prompt import BACK, Asker, Back, Choice, Prompt
from hermes_setup.ui.terminal import Terminal, columns, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import questionary
    from prompt_toolkit.application import Application
    from prompt_toolkit.filters import Filter
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.output import Output
    from questionary import Style

INTRODUCTION = "Enter takes what stands in [brackets]. < and Enter goes back. Ctrl-C stops."
_BACK_WORD = "<"


def asker(terminal: Terminal | None = None) -> Asker:
    """The asker that suits this terminal."""
    terminal = terminal or Terminal.here()
    return Keyboard(terminal) if terminal.moves else Lines(terminal)


class Lines:
    """Asks line by line and moves no cursor; a choice is a number, or how its label begins."""

    def __init__(self, terminal: Terminal, stream: TextIO | None = None) -> None:
        self._terminal = terminal
        self._stream = stream or sys.stderr
        self._introduced = False
        self._said = ""
        """The text before, which is not offered again once it is wrong: Enter would repeat it for ever."""

    def tell(self, line: str) -> None:
        """The line stands on the screen, wrapped at words."""
        for part in textwrap.wrap(self._safe(line), self._width()) or [""]:
            self._stream.write(part + "\n")
        self._stream.flush()

    def ask(self, prompt: Prompt, error: str = "") -> str | Back:
        """What was typed; of a choice its value."""
        self._about(prompt, error)
        match prompt.kind:
            case "choice":
                text = self._choose(prompt)
            case "password":
                text = self._hidden(f"? {self._safe(prompt.text)}: ")
            case "confirm":
                marks = {"yes": " [Y/n]", "no": " [y/N]"}.get(prompt.default, " [y/n]")
                text = self._line(f"? {self._safe(prompt.text)}{marks} ") or prompt.default
            case "text":
                text = self._said = self._text(prompt, self._said if error else "")
        return BACK if text.strip() == _BACK_WORD else text

    def _about(self, prompt: Prompt, error: str) -> None:
        """What was wrong, or what the question is about; a made-up password on a line of its own, easy to copy."""
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

    def _text(self, prompt: Prompt, wrong: str) -> str:
        proposal = next((text for text in (prompt.typed, prompt.default) if text and text != wrong), "")
        shown = f" [{self._safe(proposal)}]" if proposal else ""
        text = self._line(f"? {self._safe(prompt.text)}{shown}: ")
        return text if text.strip() else proposal

    def _choose(self, prompt: Prompt) -> str:
        keys = _keys(prompt)
        proposal = next((key for key, choice in keys.items() if choice.value == prompt.default), "")
        for key, choice in keys.items():
            self.tell(f"  {key}) {choice.label}")
        if prompt.back:
            self.tell("  <) go back")
        text = self._line(f"? {self._safe(prompt.text)}{f' [{proposal}]' if proposal else ''}: ").strip()
        if not text:
            return prompt.default
        found = keys.get(text.lower()) or _begins(prompt, text)
        return found.value if found else text

    def _line(self, prompt: str) -> str:
        self._stream.write(prompt)
        self._stream.flush()
        raw = sys.stdin.buffer.readline()
        if not raw:
            self._stream.write("\n")
            raise KeyboardInterrupt
        return raw.decode("utf-8", "surrogateescape").rstrip("\r\n")  # what is not UTF-8 is refused by the parsers

    def _hidden(self, prompt: str) -> str:
        import getpass

        try:
            return getpass.getpass(prompt, stream=self._stream)
        except EOFError:
            raise KeyboardInterrupt from None

    def _safe(self, text: str) -> str:
        return one_line(text, unicode=self._terminal.unicode)

    def _width(self) -> int:
        return max(20, columns(self._stream) - 1)


class Keyboard(Lines):
    """Asks with questionary: a line that can be edited, a list to walk through."""

    def ask(self, prompt: Prompt, error: str = "") -> str | Back:
        """What was typed; of a choice its value."""
        import questionary

        self._about(prompt, error)
        text, style, output = self._safe(prompt.text), _style(), _output()
        match prompt.kind:
            case "choice":
                asked = self._list(prompt, text, style, output)
            case "password":
                asked = questionary.password(f"{text}:", qmark="?", style=style, output=output)
            case "confirm":
                marks = {"yes": "[Y/n]", "no": "[y/N]"}.get(prompt.default, "[y/n]")
                asked = questionary.text(f"{text} {marks}", qmark="?", style=style, output=output)
            case "text":
                proposal = f" [{self._safe(prompt.default)}]" if prompt.default and not prompt.typed else ""
                typed = one_line(prompt.typed)
                asked = questionary.text(
                    f"{text}{proposal}:",
                    default=typed,
                    qmark="?",
                    style=style,
                    output=output,
                    key_bindings=_back_key(typed),
                )
        try:
            answer: str | Back = asked.unsafe_ask()
        except EOFError:
            raise KeyboardInterrupt from None
        if isinstance(answer, Back) or answer.strip() == _BACK_WORD:
            return BACK
        if prompt.kind in ("text", "confirm") and not prompt.typed and not answer.strip():
            return prompt.default
        return answer.removesuffix("\n") if prompt.kind == "password" else answer  # pasted with its line end

    def _list(self, prompt: Prompt, text: str, style: Style, output: Output) -> questionary.Question:
        import questionary

        lines = [(key, self._safe(choice.label), choice.value) for key, choice in _keys(prompt).items()]
        values = [value for _, _, value in lines]
        choices = [questionary.Choice(f"{key}) {label}", value) for key, label, value in lines]
        if prompt.back:
            choices.append(questionary.Choice(f"{_BACK_WORD}) go back", BACK))
        asked = questionary.select(
            text,
            choices,
            default=prompt.default if prompt.default in values else None,
            qmark="?",
            pointer=">",
            instruction="(arrow keys, letter or number, then Enter)",
            use_jk_keys=False,
            style=style,
            output=output,
        )
        for window in asked.application.layout.find_all_windows():
            window.wrap_lines = _always()
        keys = [*(key for key, _, _ in lines), *([_BACK_WORD] if prompt.back else [])]
        _list_keys(asked.application, keys, [choice.label for choice in prompt.choices])
        return asked


def _keys(prompt: Prompt) -> dict[str, Choice]:
    """The choices by what is typed for them: a letter where they have one, else their number."""
    return {choice.key or str(number): choice for number, choice in enumerate(prompt.choices, 1)}


def _begins(prompt: Prompt, text: str) -> Choice | None:
    """The one choice whose label begins so, None where it is none or more; a number, a value or "<" is no beginning."""
    if not text[:1].isalpha() or text in (choice.value for choice in prompt.choices):
        return None
    found = [choice for choice in prompt.choices if choice.label.casefold().startswith(text.casefold())]
    return found[0] if len(found) == 1 else None


def _style() -> Style:
    """Bold and nothing else: it reads well on any background."""
    from questionary import Style

    plain = ("answer", "pointer", "highlighted", "selected", "instruction", "text", "separator")
    return Style(
        [("qmark", "noinherit bold"), ("question", "noinherit bold"), *((name, "noinherit") for name in plain)]
    )


def _output() -> Output:
    """prompt_toolkit's view of the terminal: stderr, or stdout where stderr is redirected.

    It never asks where the cursor is: a console that does not answer makes prompt_toolkit wait and complain, and an
    answer that comes late over a slow line ends up in the next question.
    """
    from prompt_toolkit.output import ColorDepth
    from prompt_toolkit.output.vt100 import Vt100_Output

    stream = sys.stderr if sys.stderr.isatty() else sys.stdout
    output = Vt100_Output.from_pty(
        stream, term=os.environ.get("TERM"), default_color_depth=ColorDepth.DEPTH_1_BIT, enable_bell=False
    )
    output.enable_cpr = False
    return output


def _back_key(typed: str) -> KeyBindings:
    """Typing "<" replaces the untouched text that stands there, so that going back is typed the same way everywhere."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add(_BACK_WORD)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.text == typed:
            buffer.text = ""
        buffer.insert_text(_BACK_WORD)

    return keys


def _list_keys(application: Application[object], keys: Sequence[str], labels: Sequence[str]) -> None:
    """A key moves to its line, any other letter to the next line that begins with it; ^D, and a SIGINT from elsewhere, stop.

    questionary's own shortcuts know no "<", and it binds only the key ^C.
    """
    from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
    from prompt_toolkit.keys import Keys
    from questionary.prompts.common import InquirerControl

    lines = next(c for c in application.layout.find_all_controls() if isinstance(c, InquirerControl))
    bindings = KeyBindings()

    @bindings.add(Keys.ControlD)
    @bindings.add(Keys.SIGINT)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    def point(index: int) -> None:
        @bindings.add(keys[index])
        def _(event: KeyPressEvent) -> None:  # noqa: ARG001 - prompt_toolkit's shape of a handler
            lines.pointed_at = index

    def point_at_next(letter: str, those: Sequence[int]) -> None:
        @bindings.add(letter)
        def _(event: KeyPressEvent) -> None:  # noqa: ARG001 - likewise
            lines.pointed_at = next((index for index in those if index > lines.pointed_at), those[0])

    for index, key in enumerate(keys):
        if len(key) == 1:
            point(index)
    first = [label[:1].lower() for label in labels]
    for letter in {each for each in first if each.isalpha()}:
        for typed in {letter, letter.upper()} - {*keys}:
            if len(typed) == 1:
                point_at_next(typed, [index for index, each in enumerate(first) if each == letter])
    present = application.key_bindings
    application.key_bindings = merge_key_bindings([*([present] if present else []), bindings])


def _always() -> Filter:
    from prompt_toolkit.filters import to_filter

    return to_filter(True)
