"""Questions on a terminal whose cursor may be moved: drawn by questionary, which is loaded with the first of them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hermes_setup.questions.prompt import BACK, Back, Prompt
from hermes_setup.ui.ask.lines import BACK_KEY, Lines, choices_by_key, yes_no
from hermes_setup.ui.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import questionary
    from prompt_toolkit.application import Application
    from prompt_toolkit.filters import Filter
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.output import Output
    from questionary import Style


class Keyboard(Lines):
    """Asks with a line that can be edited, and with a list in which the arrow keys move."""

    def ask(self, prompt: Prompt, error: str = "") -> str | Back:
        """What was typed; for a choice, its value."""
        self._explain(prompt, error)
        try:
            reply: str | Back = self._question(prompt).unsafe_ask()
        except EOFError:
            raise KeyboardInterrupt from None
        if isinstance(reply, Back) or reply.strip() == BACK_KEY:
            return BACK
        if prompt.kind in ("text", "confirm") and not prompt.typed and not reply.strip():
            return prompt.default
        return reply.removesuffix("\n") if prompt.kind == "password" else reply  # pasted with its line end

    def _question(self, prompt: Prompt) -> questionary.Question:
        import questionary

        text, style, output = self._clean(prompt.text), _style(), _output()
        match prompt.kind:
            case "choice":
                return self._list(prompt, text, style, output)
            case "password":
                return questionary.password(f"{text}:", qmark="?", style=style, output=output)
            case "confirm":
                return questionary.text(f"{text} {yes_no(prompt)}", qmark="?", style=style, output=output)
            case "text":
                proposal = f" [{self._clean(prompt.default)}]" if prompt.default and not prompt.typed else ""
                typed = one_line(prompt.typed)
                return questionary.text(
                    f"{text}{proposal}:",
                    default=typed,
                    qmark="?",
                    style=style,
                    output=output,
                    key_bindings=_back_key_bindings(typed),
                )

    def _list(self, prompt: Prompt, text: str, style: Style, output: Output) -> questionary.Question:
        import questionary

        lines = [(key, self._clean(choice.label), choice.value) for key, choice in choices_by_key(prompt).items()]
        values = [value for _, _, value in lines]
        choices = [questionary.Choice(f"{key}) {label}", value) for key, label, value in lines]
        if prompt.back:
            choices.append(questionary.Choice(f"{BACK_KEY}) go back", BACK))
        question = questionary.select(
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
        for window in question.application.layout.find_all_windows():
            window.wrap_lines = _always()
        keys = [*(key for key, _, _ in lines), *([BACK_KEY] if prompt.back else [])]
        _bind_list_keys(question.application, keys, [choice.label for choice in prompt.choices])
        return question


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


def _back_key_bindings(typed: str) -> KeyBindings:
    """Typing "<" replaces the text that was there, unless it was edited: going back is typed the same way everywhere."""
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()

    @bindings.add(BACK_KEY)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.text == typed:
            buffer.text = ""
        buffer.insert_text(BACK_KEY)

    return bindings


def _bind_list_keys(application: Application[object], keys: Sequence[str], labels: Sequence[str]) -> None:
    """A key moves to its line, any other letter to the next line that starts with it; ^D, or a SIGINT from elsewhere, stops.

    questionary's own shortcuts have no "<", and it binds only the key ^C.
    """
    from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
    from prompt_toolkit.keys import Keys
    from questionary.prompts.common import InquirerControl

    lines = next(each for each in application.layout.find_all_controls() if isinstance(each, InquirerControl))
    bindings = KeyBindings()

    @bindings.add(Keys.ControlD)
    @bindings.add(Keys.SIGINT)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    def bind_to_line(key: str, index: int) -> None:
        @bindings.add(key)
        def _(event: KeyPressEvent) -> None:  # noqa: ARG001 - prompt_toolkit's shape of a handler
            lines.pointed_at = index

    def bind_to_next_of(letter: str, indexes: Sequence[int]) -> None:
        @bindings.add(letter)
        def _(event: KeyPressEvent) -> None:  # noqa: ARG001 - likewise
            lines.pointed_at = next((index for index in indexes if index > lines.pointed_at), indexes[0])

    for index, key in enumerate(keys):
        if len(key) == 1:
            bind_to_line(key, index)
    first_letters = [label[:1].lower() for label in labels]
    for letter in {each for each in first_letters if each.isalpha()}:
        for typed in {letter, letter.upper()} - {*keys}:
            if len(typed) == 1:
                bind_to_next_of(typed, [index for index, each in enumerate(first_letters) if each == letter])
    present = application.key_bindings
    application.key_bindings = merge_key_bindings([*([present] if present else []), bindings])


def _always() -> Filter:
    from prompt_toolkit.filters import to_filter

    return to_filter(True)
