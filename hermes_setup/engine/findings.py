"""What a check saw: data, not text on a screen.

A finding states what was seen, why it matters and the next thing to do. `code` is stable: it is the anchor in
docs/reference/findings.md and what scripts look for in `doctor --json`.
"""

from __future__ import annotations

from enum import IntEnum

from hermes_setup.values import dataclass


class Severity(IntEnum):
    """NOTE: good to know. WARN: works, but not as it should. BLOCK: nothing is changed until it is mended."""

    NOTE = 0
    WARN = 1
    BLOCK = 2


@dataclass(frozen=True)
class Finding:
    """One thing seen by a check. `do` is what to type or to change; `evidence` is what was read, word for word."""

    code: str
    severity: Severity
    what: str
    why: str
    do: str
    evidence: str = ""


def note(code: str, what: str, why: str, do: str, evidence: str = "") -> Finding:
    """A finding that asks for nothing."""
    return Finding(code, Severity.NOTE, what, why, do, evidence)


def warn(code: str, what: str, why: str, do: str, evidence: str = "") -> Finding:
    """A finding that does not stop the set-up."""
    return Finding(code, Severity.WARN, what, why, do, evidence)


def block(code: str, what: str, why: str, do: str, evidence: str = "") -> Finding:
    """A finding that stops the set-up before the first change of its stage."""
    return Finding(code, Severity.BLOCK, what, why, do, evidence)
