"""What a packet filter closes, and the changes that open it."""

from __future__ import annotations

from hermes_setup.engine.changes import Change
from hermes_setup.values import dataclass

COMMENT = "hermes-setup"  # on each rule of ours


@dataclass(frozen=True)
class Opening:
    """A port that is closed `where` ("ufw", "iptables", the path of a file, ...), `why`, and the changes that open it."""

    where: str
    port: int
    why: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Report:
    """What one packet filter does."""

    openings: tuple[Opening, ...] = ()
    unclear: tuple[str, ...] = ()  # rules that decide and are not understood
    unsaved: tuple[str, ...] = ()  # whose rules are lost at a restart, as far as is known
