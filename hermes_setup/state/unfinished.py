"""open.json: what was started and is not finished yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermes_setup.state import notes
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Unfinished:
    """The answers that held before, as answers.json had them, and the runs since then."""

    answers: Mapping[str, Any] | None
    runs: tuple[str, ...] = ()


def load(path: str) -> Unfinished | None:
    """What the file says; None where there is none: nothing is unfinished. Raises HermesSetupError."""
    table = notes.load(path)
    return None if table is None else Unfinished(table.get("answers"), tuple(table.get("runs", ())))


def save(path: str, unfinished: Unfinished) -> None:
    """The file says that, durably. Raises HermesSetupError."""
    notes.save(path, {"answers": unfinished.answers, "runs": list(unfinished.runs)})
