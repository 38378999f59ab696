"""Who can sign in, how each was added, and when the line was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from hermes_setup.answers.answers import Answers
from hermes_setup.state.line_dates import LineDate, line_id
from hermes_setup.values import dataclass


def origins(answers: Answers | None, lines: Iterable[str]) -> dict[str, Origin]:
    """Name -> how that user was added, for each of the lines."""
    known: dict[str, Origin] = {user.name: user.origin for user in answers.users} if answers else {}
    return {name: known.get(name, "hand") for name in lines}


Origin = Literal["answers", "menu", "hand"]


@dataclass(frozen=True)
class Account:
    """A line of the users' file: whose it is, how that user was added, when it was written."""

    name: str
    how: Origin
    written: LineDate

    @property
    def words(self) -> str:
        """How and when, for people."""
        how = {"answers": "from the answers file", "menu": "by menu or command", "hand": "by hand"}[self.how]
        return f"{how}, changed {self.written.at:%Y-%m-%d %H:%M} UTC{'' if self.written.exact else ' or before'}"

    @property
    def table(self) -> dict[str, object]:
        """The same for programs. Keys are only ever added."""
        at = f"{self.written.at:%Y-%m-%dT%H:%M:%SZ}"
        return {"name": self.name, "how": self.how, "changed": at, "exact": self.written.exact}


def accounts(
    answers: Answers | None,
    lines: Mapping[str, str],
    known: Mapping[str, LineDate],
    found: LineDate,
) -> list[Account]:
    """Who can sign in, in the order of the file. `found` is for lines of whose writing nothing is `known`."""
    how = origins(answers, lines)
    return [Account(name, how[name], known.get(line_id(name, hashed), found)) for name, hashed in lines.items()]
