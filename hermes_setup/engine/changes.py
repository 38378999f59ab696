"""The closed vocabulary of what this program does to a machine: Place, Run, Stamp, Probe.

Each is a value that can be shown before it happens. `why` is the line that the user reads in the preview, in the
progress and in the log. A change can be applied again after any interruption: it states an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hermes_setup.engine.findings import Finding
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import ABSENT, Absent, File, Host, Node, Special, System
from hermes_setup.values import dataclass, field


@dataclass(frozen=True)
class Place:
    """Make `path` hold `node`: a File, a Link, a Folder, or nothing (ABSENT)."""

    path: str
    node: Node
    why: str

    def apply(self, system: System) -> None:
        """The path holds the node, durably."""
        system.put(self.path, self.node)

    def undo(self, host: Host) -> Place:
        """The change that puts back what is there now. Raises where that could not be put back."""
        before = host.look(self.path)
        if isinstance(before, Special):
            raise HermesSetupError(
                f"{self.path} is neither a file, a link nor a folder ({before.why}), so it is not touched.",
                hint=f"Look at it with: ls -ld {self.path}",
            )
        return Place(self.path, before, f"put back {self.path}")


@dataclass(frozen=True)
class Until:
    """What must be seen before a Run counts as done, where its exit status comes too early.

    `before` is read ahead of the command, `holds` again and again after it, for `seconds` at most.
    """

    what: str
    before: Callable[[Host], object]
    holds: Callable[[Host, object], bool]
    seconds: float = 15.0
    hint: str = ""


@dataclass(frozen=True)
class Run:
    """Run a command that is safe to repeat.

    `gives` names what is true after it ("package nginx"); an Overlay takes it as done. `undo_argv` takes it back, ()
    where nothing does. `seconds` is its deadline. `explain` makes an error of its failure that says what it means.
    """

    argv: tuple[str, ...]
    why: str
    gives: str = ""
    undo_argv: tuple[str, ...] = ()
    stdin: bytes = field(default=b"", repr=False)
    env: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 900.0
    until: Until | None = field(default=None, compare=False)
    hint: str = ""  # what to do when it fails
    irreversible: bool = False  # its effect stays when the files are put back: a package, a certificate
    explain: Callable[[CommandFailed], HermesSetupError] | None = field(default=None, compare=False, repr=False)

    def apply(self, system: System) -> None:
        """The command ended with status 0, and what it was run for can be seen. Raises CommandFailed otherwise."""
        until = self.until if system.touches() else None
        before = until.before(system) if until else None
        try:
            system.run(self.argv, gives=self.gives, stdin=self.stdin, env=self.env, seconds=self.seconds)
        except CommandFailed as error:
            if self.explain:
                raise self.explain(error) from error
            raise CommandFailed(error.message, error.hint or self.hint, error.output, error.code) from error
        if until and not system.wait(lambda: until.holds(system, before), seconds=until.seconds):
            raise HermesSetupError(
                f"{' '.join(self.argv)} succeeded, but after {until.seconds:g} s this is still not so: {until.what}.",
                hint=until.hint or self.hint,
            )

    def undo(self, host: Host) -> Run | None:  # noqa: ARG002 - one shape for all changes
        """The command that takes it back, None where there is none."""
        return Run(self.undo_argv, f"take back: {self.why}", until=self.until) if self.undo_argv else None


@dataclass(frozen=True)
class Stamp:
    """A note of an effect that nobody can see afterwards (what nginx has loaded). ABSENT clears it.

    It never claims more than happened: clear the stamp, act, stamp.
    """

    path: str
    node: File | Absent
    why: str

    def apply(self, system: System) -> None:
        """The stamp says what the node says."""
        system.put(self.path, self.node)

    def undo(self, host: Host) -> Stamp:  # noqa: ARG002
        """After going back, nothing is known: the stamp is cleared, never restored."""
        return Stamp(self.path, ABSENT, f"forget: {self.why}")


class Look(Protocol):
    """A look that must leave something for a moment, or ask somebody outside. It cleans up after itself."""

    def __call__(self, system: System) -> Sequence[Finding]:
        """What was seen. Raises HermesSetupError where what is about to be done would fail."""
        ...


@dataclass(frozen=True)
class Probe:
    """A look that a dry run and a plain doctor do not take. A blocking finding stops the run."""

    look: Look = field(repr=False, compare=False)
    why: str

    def apply(self, system: System) -> Sequence[Finding]:
        """What was seen; nothing is left behind."""
        return self.look(system) if system.touches() else ()

    def undo(self, host: Host) -> None:  # noqa: ARG002
        """A probe leaves nothing to take back."""
        return


Change = Place | Run | Stamp | Probe
