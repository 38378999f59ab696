"""The runs of which there are notes: a folder each, named by the moment when it started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime, timezone

from hermes_setup.state.journal import Journal
from hermes_setup.values import dataclass

KEPT = 20


@dataclass(frozen=True)
class PastRun:
    """A run that changed something. `half_undone`: an undo of it was stopped before its end."""

    journal: Journal
    half_undone: bool


def past(folder: str, undone: str = "") -> Iterator[PastRun]:
    """The runs that changed something, newest first. Unfinished runs that one continued are part of it.

    `undone` is the run that was undone last. An undo that was stopped before its end is not a run yet: the run that it was
    to undo is given instead.
    """
    names = set(_listed(folder))
    while names:
        last = Journal(os.path.join(folder, max(names)))
        half_undone = last.info.undoes in names - {undone}
        run = Journal(os.path.join(folder, last.info.undoes)) if half_undone else last
        yield PastRun(run, half_undone)
        names -= {last.name, run.name, *last.info.continues, *run.info.continues}


def new_name() -> str:
    """The name of a run that starts now. They sort by time."""
    return datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")


def make_room(folder: str) -> None:
    """With one more, there are KEPT runs at most: older ones are deleted."""
    for name in sorted(_listed(folder))[: -KEPT + 1]:
        _delete(os.path.join(folder, name))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _delete(run: str) -> None:
    for folder in (os.path.join(run, "before"), run):
        for name in _listed(folder):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
        with contextlib.suppress(OSError):
            os.rmdir(folder)
