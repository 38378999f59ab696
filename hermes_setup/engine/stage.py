"""A stage decides; it never acts. See docs/explanation/architecture.md.

`inspect` only reads, and never guesses: what it could not see, its facts say. `check` and `plan` are pure functions of
answers and facts. An empty plan means: done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding
from hermes_setup.host import Host
from hermes_setup.values import dataclass

F = TypeVar("F")


class Stage(Protocol[F]):
    """What one subject needs. Stages hold no state of their own: two calls with the same input are the same call."""

    def inspect(self, answers: Answers, host: Host) -> F:
        """Facts, read from the machine; side by side with other stages, so it shares nothing."""
        ...

    def check(self, answers: Answers, facts: F) -> Sequence[Finding]:
        """What is wrong that must be right before *and* after this stage."""
        ...

    def plan(self, answers: Answers, facts: F) -> Sequence[Change]:
        """The changes still needed, in their order; () when there are none."""
        ...


@dataclass(frozen=True)
class Step:
    """A stage at its place in a run. One stage may stand in several steps, and then looks once for all of them."""

    name: str  # one word, in the journal and in --json: "dns"
    title: str  # what the user reads: "DNS records"
    stage: Stage[Any]
