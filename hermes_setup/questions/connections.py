"""Whether the connections that are open end when a user is signed out: all of them, or none."""

from __future__ import annotations

from typing import Literal

from hermes_setup.questions.prompt import Prompt

END = "--end-connections"
KEEP = "--keep-connections"
ALSO = "Everybody's chat reconnects by itself; running downloads, also of other sites on this nginx, are cut."
OfSignedOut = Literal["passwd", "remove", "sign-out"]
ENDS = {"passwd": False, "remove": True, "sign-out": False}
"""What Enter takes, and what holds where nobody is asked."""


def prompt(do: OfSignedOut, name: str, *, back: bool = False) -> Prompt:
    """The question for who signs that user out; `name` "" is everybody."""
    who = f"{name}'s chats" if name else "Chats"
    return Prompt(
        "connections",
        "End all open connections, too?",
        f"{who} that are open stay open until they close, unless you end all connections: nginx can't tell whose is whose. {ALSO}",
        f"{END} or {KEEP}",
        "confirm",
        "yes" if ENDS[do] else "no",
        back=back,
    )
