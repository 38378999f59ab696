"""The note of where the site passes visitors, and of whose process was there when that was set.

It is placed as any other file, so an undo brings the note back that held before (a stamp would only be cleared).
"""

from __future__ import annotations

import json

from hermes_setup.answers.backend import Backend
from hermes_setup.errors import WrongInput
from hermes_setup.host import File, Node
from hermes_setup.state.notes import FOLDER
from hermes_setup.values import dataclass

PATH = f"{FOLDER}/upstream.json"


@dataclass(frozen=True)
class UpstreamNote:
    """Where visitors are passed to. `user`: whose process has to be there; "" where none was there yet, or none can be seen."""

    at: Backend
    user: str = ""


def to_file(note: UpstreamNote) -> File:
    """The file that says so."""
    table = {"backend": str(note.at), "user": note.user}
    return File(json.dumps(table, indent=1).encode(), 0o600)


def parse(node: Node) -> UpstreamNote | None:
    """What `to_file` gave; None for anything else."""
    try:
        table = json.loads(node.content) if isinstance(node, File) else None
        if isinstance(table, dict) and isinstance(table.get("user"), str):
            return UpstreamNote(Backend.parse(table.get("backend", "")), table["user"])
    except (ValueError, TypeError, AttributeError, WrongInput):
        pass
    return None
