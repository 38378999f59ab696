"""What a packet filter closes, and the changes that open it."""

from __future__ import annotations

from hermes_setup.engine.changes import Change
from hermes_setup.values import dataclass

MARK = "hermes-setup"  # the comment on each rule of ours


@dataclass(frozen=True)
class Door:
    """A port that some filter shuts. `opens` are the changes that open it, for `where` = "ufw", "iptables", ..."""

    where: str
    port: int
    why: str
    opens: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What one filter does. `doubts` are rules that decide and are not understood; `fleeting`: not kept over a reboot."""

    doors: tuple[Door, ...] = ()
    doubts: tuple[str, ...] = ()
    fleeting: tuple[str, ...] = ()
