"""What happens in a run, as values: the engine yields them, its caller draws them."""

from __future__ import annotations

from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding
from hermes_setup.host import Node
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Started:
    """A step starts: number `number` of `total`."""

    stage: str
    title: str
    number: int
    total: int


@dataclass(frozen=True)
class Seen:
    """What a stage's checks, or a probe, saw. Sent at most once a stage, and once a probe."""

    stage: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Doing:
    """A change is about to happen; `before` is what a Place will replace, for a diff."""

    stage: str
    change: Change
    before: Node | None = None


@dataclass(frozen=True)
class Did:
    """A change has happened."""

    stage: str
    change: Change


@dataclass(frozen=True)
class Finished:
    """What the stage wants holds; `changed` is how many changes that took."""

    stage: str
    title: str
    changed: int


Event = Started | Seen | Doing | Did | Finished
