"""When the lines of the users' file were written, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from hermes_setup.passwords import fingerprint
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class LineDate:
    """When a line of the users' file was written: at that moment (UTC), or, where not `exact`, then or before."""

    at: datetime
    exact: bool


def line_id(name: str, hashed: str) -> str:
    """A short name of a line, which gives nothing away. The same line, taken out and put back, has the same one."""
    return fingerprint(f"{name}:{hashed}")


def line_dates(
    known: Mapping[str, LineDate],
    before: Mapping[str, str],
    after: Mapping[str, str],
    file_date: LineDate,
    now: LineDate | None,
) -> dict[str, LineDate]:
    """Line id -> date, for the lines of `before` and those that a run is about to leave, `after`. What is known stays.

    A line of which nothing is known gets the `file_date`; one that the run writes gets `now`. An undo writes no new lines,
    so its `now` is None: a line that comes back has the date that it had.
    """
    dates = {each: known.get(each, file_date) for each in (line_id(*line) for line in before.items())}
    for line in after.items():
        if line not in before.items() and (date := now or known.get(line_id(*line))):
            dates[line_id(*line)] = date
    return dates
