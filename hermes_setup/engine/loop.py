"""One loop for every mode: inspect, check, plan, do, and look again.

    apply, resume, re-run   run(stages, answers, Local(), journal)
    dry run, review screen  run(stages, answers, Overlay(Local()), NoJournal())
    doctor                  preflight(stages, answers, Local())

The engine knows no screen: it yields what happens as Events, and its caller draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.cached import CachedHost
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.events import Did, Doing, Event, Finished, Seen, Started
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.engine.stage import Stage
from hermes_setup.engine.undoing import Undoing, put_back
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import Host, System
from hermes_setup.parallel import in_parallel
from hermes_setup.values import dataclass

AnyStage = Stage[Any]


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


def preflight(stages: Sequence[AnyStage], answers: Answers, host: Host) -> Preflight:
    """Every stage has looked, side by side, and its checks have been asked. Changes nothing."""
    moment = CachedHost(host)
    # Site stands in the story twice. Stages hold no state, so two of a kind see the same.
    kinds = [(type(stage), {**vars(stage), "name": "", "title": ""}) for stage in stages]
    first = [kinds.index(kind) for kind in kinds]
    once = tuple(dict.fromkeys(first))
    looks = dict(zip(once, in_parallel(lambda number: stages[number].inspect(answers, moment), once), strict=True))
    facts = {number: looks[kind] for number, kind in enumerate(first)}
    found: list[tuple[str, Finding]] = []
    for number, stage in enumerate(stages):
        for finding in stage.check(answers, facts[number]):
            if all(finding != seen for _, seen in found):
                found.append((stage.name, finding))
    return Preflight(facts, tuple(found))


def run(
    stages: Sequence[AnyStage], answers: Answers, system: System, journal: Undoing, known: Preflight | None = None
) -> Iterator[Event]:
    """Every stage holds when this is exhausted; what it took is told on the way.

    `known` are the facts of a preflight taken a moment ago, good until the first change. Raises Blocked before the
    first change of a stage whose check blocks, and StageFailed when a change fails (its files are put back first).
    """
    before = known or preflight(stages, answers, system)
    if before.blocked:
        raise Blocked(before.blocked)
    fresh = True
    moment = CachedHost(system)  # it lasts from one change to the next
    for number, stage in enumerate(stages):
        yield Started(stage.name, stage.title, number + 1, len(stages))
        facts = before.facts[number] if fresh else stage.inspect(answers, moment)
        findings = tuple(stage.check(answers, facts))
        yield Seen(stage.name, findings)
        if any(finding.severity is Severity.BLOCK for finding in findings):
            raise Blocked(findings)
        changes = stage.plan(answers, facts)
        fresh = fresh and not changes
        try:
            for change in changes:
                yield Doing(stage.name, change, system.look(change.path) if isinstance(change, Place) else None)
                yield from _apply(stage, change, system, journal)
                yield Did(stage.name, change)
            if changes:
                moment = CachedHost(system)
            if changes and system.touches() and (left := stage.plan(answers, stage.inspect(answers, moment))):
                raise HermesSetupError(
                    f"Done, but it does not hold afterwards: {left[0].why}.",
                    hint="Something else on this machine changes it back. Look at: hermes-setup doctor",
                )
        except HermesSetupError as error:
            left_over = put_back(journal.recall(stage.name), system)
            if isinstance(error, Blocked):
                raise
            raise StageFailed(stage.name, error, left_over) from error
        yield Finished(stage.name, stage.title, len(changes))


def _apply(stage: AnyStage, change: Change, system: System, journal: Undoing) -> Iterator[Event]:
    match change:
        case Probe():
            findings = tuple(change.apply(system))
            if findings:
                yield Seen(stage.name, findings)
            if any(finding.severity is Severity.BLOCK for finding in findings):
                raise Blocked(findings)
        case Place() | Run() | Stamp():
            if undo := change.undo(system):
                journal.remember(stage.name, change, undo)
            change.apply(system)
