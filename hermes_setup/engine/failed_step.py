"""A failed step puts back what was there before: what the engine needs of a journal for it, and the putting back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import Node, System


class Undoing(Protocol):
    """The journal, as the engine needs it: what was there before, durable before each effect."""

    def record(self, stage: str, change: Change, undo: Change) -> None:
        """The undo is on disk when this returns."""
        ...

    def changes(self, stage: str) -> Sequence[tuple[Change, Change]]:
        """(change, undo) of that stage in this run, oldest first."""
        ...


class NoJournal:
    """For machines whose writes stay in memory: nothing to remember."""

    def record(self, stage: str, change: Change, undo: Change) -> None:
        """Nothing."""

    def changes(self, stage: str) -> Sequence[tuple[Change, Change]]:  # noqa: ARG002
        """Nothing was remembered."""
        return ()


def put_back(remembered: Sequence[tuple[Change, Change]], system: System) -> list[str]:
    """What was there before is there again. Returns what could not be put back, and why.

    Files go first, newest first, then commands: a reload must find the old files. A path with neither what was placed
    nor what was there before was edited by someone else, and is left alone.
    """
    left: list[str] = []
    order = [pair for pair in reversed(remembered) if not isinstance(pair[1], Run)]
    commands = {pair[1].argv: pair for pair in reversed(remembered) if isinstance(pair[1], Run)}
    for change, undo in [*order, *commands.values()]:
        try:
            if isinstance(change, Place) and isinstance(undo, Place):
                now = system.look(undo.path)
                if now == undo.node:
                    continue
                if now != change.node and not _placed_later(undo.path, now, remembered):
                    left.append(f"{undo.path} was changed by someone else since, so it stays as it is")
                    continue
            undo.apply(system)
        except HermesSetupError as error:
            left.append(f"{undo.why}: {error.message}")
    return left


def _placed_later(path: str, now: Node, remembered: Sequence[tuple[Change, Change]]) -> bool:
    """True when some later Place of this run put there what is there now (the same path placed twice)."""
    return any(
        isinstance(change, Place) and change.path == path and now in (change.node, getattr(undo, "node", None))
        for change, undo in remembered
    )
