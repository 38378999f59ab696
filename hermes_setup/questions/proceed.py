"""Before a machine is changed: whether to go ahead, and what to do when a check blocks."""

from __future__ import annotations

from typing import Literal

from hermes_setup.questions.prompt import Asker, Choice, Prompt, picked

GO_AHEAD = Prompt(
    "go",
    "Go ahead?",
    "None of this has been done yet. y makes these changes, n leaves everything as it is.",
    "--yes",
    "confirm",
    back=True,
)
"""No default: only a clear yes changes a machine."""


def what_now(
    asker: Asker, *, waiting: bool = False, other_domain: bool = False, kept: bool = True
) -> Literal["wait", "again", "domain", "back", "quit"]:
    """What the user wants after a check that blocks: check again, go back to the answers, or stop here.

    `waiting`: or to wait for it to change by itself, which is proposed then. `other_domain`: or to type another domain.
    `kept`: the answers are on the disk, so that another run can continue with them.
    """
    wait = Choice("wait", "Wait here: check every half minute, and continue automatically")
    prompt = Prompt(
        "blocked",
        "What now?",
        f"Nothing has been changed. {'Your answers are kept.' if kept else 'If you stop here, this change is forgotten.'}",
        "apply --answers FILE.toml",
        "choice",
        "wait" if waiting else "again",
        choices=(
            *([wait] if waiting else []),
            Choice("again", "I have fixed it: check again"),
            *([Choice("domain", "Type another domain")] if other_domain else []),
            Choice("back", "Change my answers"),
            Choice("quit", "Stop here; hermes-setup continues from here later" if kept else "Stop here"),
        ),
    )
    match picked(asker, prompt):
        case ("wait" | "again" | "domain" | "back") as value:
            return value
        case _:
            return "quit"
