"""One look-up, and the points in time that all of them share."""

from __future__ import annotations

from typing import NamedTuple

# Points in time, as shares of the deadline.
HEDGE = 0.25  # a resolver that is silent until now gets company
PATIENCE = 0.35  # name servers that are silent while others have answered are not waited for
LATE = 0.6  # what would only confirm something known is not waited for
CHECKPOINTS = (HEDGE, PATIENCE, LATE, 1.0)

GETENT = "ahosts"  # not a record: what this machine's own programs get to see, /etc/hosts included (getent(1))


class Query(NamedTuple):
    """What is asked of one server; `server` "" is the machine's own resolver."""

    name: str
    kind: str
    server: str = ""
