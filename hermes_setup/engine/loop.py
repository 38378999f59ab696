"""One loop for every mode: inspect, check, plan, do, and look again.

    apply, resume, re-run, undo      run(steps, answers, Local(), journal)
    dry run, --check, the forecast   run(steps, answers, Overlay(Local()), NoJournal())
    rehearse                         run(steps, answers, Rehearsal(), NoJournal())
    doctor                           preflight(steps, answers, Local()), then the forecast

The engine knows no screen: it yields what happens as Events, and its caller draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.cached import CachedHost
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.events import Did, Doing, Event, Finished, Seen, Started
from hermes_setup.engine.failed_step import Undoing, put_back
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.engine.stage import Step
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import Host, System
from hermes_setup.parallel import in_parallel
from hermes_setup.values import dataclass


class Blocked(HermesSetupError):
    """A check blocks; nothing of its stage was changed."""

    exit_code = 3

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = next(finding for finding in findings if finding.severity is Severity.BLOCK)
        super().__init__(first.what, hint=first.do)
        self.findings = tuple(findings)


class StageFailed(HermesSetupError):
    """A stage could not be done; its files are as they were. `left` names what could not be put back."""

    def __init__(self, stage: str, cause: HermesSetupError, left: Sequence[str] = ()) -> None:
        super().__init__(cause.message, cause.hint)
        self.stage = stage
        self.cause = cause
        self.left = tuple(left)


@dataclass(frozen=True)
class Preflight:
    """What all stages saw before anything was touched."""

    facts: Mapping[int, Any]  # by the stage's place in the tuple
    findings: tuple[tuple[str, Finding], ...]  # (stage, finding), in the order of the stages

    @property
    def blocked(self) -> tuple[Finding, ...]:
        """All findings, when one of them blocks; () when none does."""
        found = tuple(finding for _, finding in self.findings)
        return found if any(finding.severity is Severity.BLOCK for finding in found) else ()


def preflight(steps: Sequence[Step], answers: Answers, host: Host) -> Preflight:
    """The facts of every stage, inspected side by side, and what its checks found. Changes nothing."""
    cached = CachedHost(host)
    stages = {id(step.stage): step.stage for step in steps}
    looks = dict(zip(stages, in_parallel(lambda stage: stage.inspect(answers, cached), stages.values()), strict=True))
    facts = {number: looks[id(step.stage)] for number, step in enumerate(steps)}
    found: list[tuple[str, Finding]] = []
    for number, step in enumerate(steps):
        for finding in step.stage.check(answers, facts[number]):
            if all(finding != seen for _, seen in found):
                found.append((step.name, finding))
    return Preflight(facts, tuple(found))


def run(
    steps: Sequence[Step], answers: Answers, system: System, journal: Undoing, known: Preflight | None = None
) -> Iterator[Event]:
    """What every stage wants holds when this is exhausted; the events say what that took.

    `known` are the facts of a preflight taken a moment ago, good until the first change. Raises Blocked before the
    first change of a stage whose check blocks, and StageFailed when a change fails (its files are put back first).
    """
    before = known or preflight(steps, answers, system)
    if before.blocked:
        raise Blocked(before.blocked)
    fresh = True
    cached = CachedHost(system)  # it lasts from one change to the next
    for number, step in enumerate(steps):
        stage = step.stage
        yield Started(step.name, step.title, number + 1, len(steps))
        facts = before.facts[number] if fresh else stage.inspect(answers, cached)
        findings = tuple(stage.check(answers, facts))
        yield Seen(step.name, findings)
        if any(finding.severity is Severity.BLOCK for finding in findings):
            raise Blocked(findings)
        changes = stage.plan(answers, facts)
        fresh = fresh and not changes
        try:
            for change in changes:
                yield Doing(step.name, change, system.look(change.path) if isinstance(change, Place) else None)
                yield from _apply(step, change, system, journal)
                yield Did(step.name, change)
            if changes:
                cached = CachedHost(system)
            if changes and system.touches() and (left := stage.plan(answers, stage.inspect(answers, cached))):
                raise HermesSetupError(
                    f"Done, but it did not last: {left[0].why}.",
                    hint="Something else on this machine changes it back. Look at: sudo hermes-setup doctor",
                )
        except HermesSetupError as error:
            left_over = put_back(journal.changes(step.name), system)
            if isinstance(error, Blocked):
                raise
            raise StageFailed(step.name, error, left_over) from error
        yield Finished(step.name, step.title, len(changes))


def _apply(step: Step, change: Change, system: System, journal: Undoing) -> Iterator[Event]:
    match change:
        case Probe():
            findings = tuple(change.apply(system))
            if findings:
                yield Seen(step.name, findings)
            if any(finding.severity is Severity.BLOCK for finding in findings):
                raise Blocked(findings)
        case Place() | Run() | Stamp():
            if undo := change.undo(system):
                journal.record(step.name, change, undo)
            change.apply(system)
