"""Questions at the terminal. Talk goes to stderr, so that stdout stays free for data.

    asker()     Keyboard where the cursor may be moved (questionary), Lines elsewhere (TERM=dumb, a screen reader, a pipe)

Rules that both keep: "<" and Enter goes back, everywhere; no single key does, which a slow line could tear apart (Esc and
the arrow keys start with the same byte). ^C and ^D raise KeyboardInterrupt. A password never appears on the screen. What
is typed ahead is an answer.
"""

from __future__ import annotations

from hermes_setup.questions.prompt import Asker
from hermes_setup.ui.terminal import Terminal


def asker(terminal: Terminal | None = None) -> Asker:
    """The asker that suits this terminal."""
    terminal = terminal or Terminal.here()
    if terminal.moves:
        from hermes_setup.ui.ask.keyboard import Keyboard

        return Keyboard(terminal)
    from hermes_setup.ui.ask.lines import Lines

    return Lines(terminal)
