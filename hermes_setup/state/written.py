"""When the lines of the users' file were written, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from hermes_setup.passwords import fingerprint
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Written:
    """When a line of the users' file was written: at that moment (UTC), or, where not `exact`, then or before."""

    at: datetime
    exact: bool


def mark(name: str, hashed: str) -> str:
    """A short name of a line, that gives nothing away: the same line, taken out and put back, is known again by it."""
    return fingerprint(f"{name}:{hashed}")


def dated(
    known: Mapping[str, Written],
    before: Mapping[str, str],
    after: Mapping[str, str],
    found: Written,
    now: Written | None,
) -> dict[str, Written]:
    """mark -> when, for the lines of `before` and those that a run is about to leave, `after`. What is known stays.

    A line that nobody knew is as `found`; one that the run writes is of `now`. An undoing writes no new lines, so its
    `now` is None: a line that comes back comes back with the time that it had.
    """
    when = {each: known.get(each, found) for each in (mark(*line) for line in before.items())}
    for line in after.items():
        if line not in before.items() and (written := now or known.get(mark(*line))):
            when[mark(*line)] = written
    return when
