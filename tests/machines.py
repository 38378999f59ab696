"""Machines for tests that need none: in memory, or a folder that a Local takes for its root; and power cuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hermes_setup.engine.stage import Stage, Step
from hermes_setup.host import File, Node, Ran, Replaceable
from hermes_setup.system.overlay import Nothing, Overlay


class PowerCut(BaseException):
    """The lights are out: no handler may do anything about it."""


class Machine(Overlay):
    """A machine in memory whose commands happen: `programs` say what running one does. It counts as touched."""

    def __init__(self, programs: Mapping[str, Callable[[Machine, Sequence[str]], None]] | None = None) -> None:
        super().__init__(Nothing())
        self.programs = dict(programs or {})
        self.ran: list[tuple[str, ...]] = []
        self.others: dict[str, tuple[Replaceable, ...]] = {}
        """What users other than root can replace of a program, by its path or its name."""

    def replaceable(self, program: str) -> tuple[Replaceable, ...]:
        """As `others` has it."""
        return self.others.get(program, ())

    def run(
        self,
        argv: Sequence[str],
        *,
        gives: str = "",  # noqa: ARG002 - what it gives is seen, as on a real machine
        stdin: bytes = b"",  # noqa: ARG002
        env: Mapping[str, str] | None = None,  # noqa: ARG002
        seconds: float = 600.0,  # noqa: ARG002
    ) -> Ran:
        """The program's effect has happened; it is written down."""
        self.ran.append(tuple(argv))
        if argv[0] == "install":  # from /dev/null (coreutils)
            Overlay.put(self, argv[-1], File(b"", int(argv[argv.index("-m") + 1], 8)))
        if argv[0] in self.programs:
            self.programs[argv[0]](self, argv)
        return Ran(0, "", "")

    def touches(self) -> bool:
        """What is done here happens, as far as a test is concerned."""
        return True

    def files(self) -> dict[str, Node]:
        """Every path and what it holds."""
        return {path: node for path, node in self._nodes.items() if node.__class__.__name__ != "Absent"}


class Unsteady(Machine):
    """Its power goes out at the `cut`-th effect: before it happens, or right after."""

    def __init__(self, programs: Mapping[str, Callable[[Machine, Sequence[str]], None]]) -> None:
        super().__init__(programs)
        self.left = -1
        self.after = False

    def plug_in(self, cut: int, *, after: bool) -> None:
        """From now on, the power goes out at the effect numbered `cut` (0 the first; negative: never)."""
        self.left, self.after = cut, after

    def put(self, path: str, node: Node) -> None:
        """As on any machine, while the power is on."""
        self._tick(lambda: super(Unsteady, self).put(path, node))

    def run(self, argv: Sequence[str], **options: object) -> Ran:  # type: ignore[override]  # the same, passed on
        """Likewise."""
        self._tick(lambda: super(Unsteady, self).run(argv))
        return Ran(0, "", "")

    def _tick(self, act: Callable[[], object]) -> None:
        if self.left == 0 and not self.after:
            self.left = -1
            raise PowerCut
        act()
        if self.left == 0:
            self.left = -1
            raise PowerCut
        self.left -= 1


def text(content: str, mode: int = 0o644) -> File:
    """A file of root's."""
    return File(content.encode(), mode)


def steps(*stages: Stage[Any]) -> tuple[Step, ...]:
    """The stages as steps: named as a stage of the tests names itself, else by its class."""
    names = [getattr(stage, "name", type(stage).__name__.lower()) for stage in stages]
    return tuple(Step(name, name.title(), stage) for name, stage in zip(names, stages, strict=True))
