"""One loop for every mode: inspect, check, plan, do, and look again.

    apply, resume, re-run   run(stages, answers, Local(), journal)
    dry run, review screen  run(stages, answers, Overlay(Local()), NoJournal())
    doctor                  preflight(stages, answers, Local())

The engine knows no screen: it yields what happens as Events, and its caller draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from hermes_setup.answers import Answers
from hermes_setup.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.errors import HermesSetupError
from hermes_setup.findings import Finding, Severity
from hermes_setup.host import Host, Node, System
from hermes_setup.side_by_side import side_by_side
from hermes_setup.stage import Stage
from hermes_setup.system.moment import Moment
from hermes_setup.values import dataclass

AnyStage = Stage[Any]


@dataclass(frozen=True)
class Started:
    """A stage begins: number `number` of `total`."""

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
    """A stage holds; `changed` is how many changes that took."""

    stage: str
    title: str
    changed: int


Event = Started | Seen | Doing | Did | Finished


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


class Undoing(Protocol):
    """The journal, as the engine needs it: what was there before, durable before each effect."""

    def remember(self, stage: str, change: Change, undo: Change) -> None:
        """The undo is on disk when this returns."""
        ...

    def recall(self, stage: str) -> Sequence[tuple[Change, Change]]:
        """(change, undo) of that stage in this run, oldest first."""
        ...


class NoJournal:
    """For machines whose writes stay in memory: nothing to remember."""

    def remember(self, stage: str, change: Change, undo: Change) -> None:
        """Nothing."""

    def recall(self, stage: str) -> Sequence[tuple[Change, Change]]:  # noqa: ARG002
        """Nothing was remembered."""
        return ()


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
    moment = Moment(host)
    # Site stands in the story twice. Stages hold no state, so two of a kind see the same.
    kinds = [(type(stage), {**vars(stage), "name": "", "title": ""}) for stage in stages]
    first = [kinds.index(kind) for kind in kinds]
    once = tuple(dict.fromkeys(first))
    looks = dict(zip(once, side_by_side(lambda number: stages[number].inspect(answers, moment), once), strict=True))
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
    moment = Moment(system)  # it lasts from one change to the next
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
                moment = Moment(system)
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


def put_back(remembered: Sequence[tuple[Change, Change]], system: System) -> list[str]:
    """What was there before is there again; the answer names what could not be put back, and why.

    Files go first, newest first, then commands: a reload must find the old files. A path that holds neither what was
    placed nor what was there before has been edited by someone, and is left alone.
    """
    left: list[str] = []
    order = [pair for pair in reversed(remembered) if not isinstance(pair[1], Run)]
    commands = {pair[1].argv: pair for pair in reversed(remembered) if isinstance(pair[1], Run)}
    for change, undo in [*order, *commands.values()]:
        try:
            if isinstance(change, Place) and isinstance(undo, Place):
                now = system.look(undo.path)
                if now == undo.node:
                    continue
                if now != change.node and not _placed_later(undo.path, now, remembered):
                    left.append(f"{undo.path} was changed by someone since, so it stays as it is")
                    continue
            undo.apply(system)
        except HermesSetupError as error:
            left.append(f"{undo.why}: {error.message}")
    return left


def _placed_later(path: str, now: Node, remembered: Sequence[tuple[Change, Change]]) -> bool:
    """True when some later Place of this run put there what is there now (the same path placed twice)."""
    return any(
        isinstance(change, Place) and change.path == path and now in (change.node, getattr(undo, "node", None))
        for change, undo in remembered
    )
